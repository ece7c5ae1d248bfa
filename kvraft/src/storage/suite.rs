//! Runs openraft's own suite against both wings together.

use std::time::Duration;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};

use super::{LogStore, StateMachine, Storage, StorageOptions};
use crate::environment::Environment;
use crate::raft::TypeConfig;

struct Builder;

type Guard = (tempfile::TempDir, Storage);

impl StoreBuilder<TypeConfig, LogStore, StateMachine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let options = StorageOptions {
            data_dir: dir.path().to_owned(),
            name: "a".to_owned(),
            checkpoint_interval: Duration::from_secs(1),
        };
        let storage = Storage::open(&options, &Environment::default()).unwrap();
        let (log, machine) = (storage.log.clone(), storage.state.state_machine());
        Ok(((dir, storage), log, machine))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_wings_pass_the_suite_of_openraft() {
    Suite::test_all(Builder).await.unwrap();
}
