//! `Introduction` is what a client says of itself, and whom it talks to.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::guide::Guide;
use crate::config::CheckedClientConfig;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::raft::Member;
use crate::transport::{Greeter, Hello, HelloRole, Reason, Unmet};
use crate::versions::Versions;

/// The hello of one process; its id is new with each.
pub(super) struct Introduction {
    identity: Identity,
    versions: Versions,
    guide: Arc<Guide>,
}

impl Introduction {
    pub(super) fn new(config: &CheckedClientConfig, guide: Arc<Guide>) -> Result<Self> {
        let random = || {
            let number = config.environment.random_u64();
            number.map_err(|error| Error::internal("no random id").with_source(error))
        };
        let (node_id, nonce) = (random()?, random()?);
        Ok(Self {
            identity: Identity { name: config.name.clone(), node_id, start: 0, nonce },
            versions: config.environment.versions,
            guide,
        })
    }
}

impl Greeter for Introduction {
    fn hello(&self) -> Hello {
        Hello {
            protocols: self.versions.protocols,
            role: HelloRole::Client,
            cluster_id: self.guide.known().cluster_id,
            identity: self.identity.clone(),
            record: Member::default(),
            initialised: false,
            format_level: self.versions.format_level,
        }
    }

    fn admit<'a>(&'a self, peer: &'a Hello) -> BoxFuture<'a, Result<(), Unmet>> {
        // Whose cluster is not founded yet may become a member of any.
        let unfounded = || Unmet::from(Error::unavailable("its cluster has not been founded yet"));
        let admitted = peer.cluster_id.ok_or_else(unfounded).and_then(|id| {
            let settled = self.guide.settle_cluster(id);
            settled.map_err(|error| Unmet::Refused(Reason::OtherCluster, error))
        });
        std::future::ready(admitted).boxed()
    }
}
