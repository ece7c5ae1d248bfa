//! `Node` is one member at work.
use crate::command::{Command, Outcome};
use crate::config::CheckedConfig;
use crate::error::{Error, Result};
use crate::options::{Consistency, KeyRange, Page, ScanOptions};
use crate::status::Status;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub(crate) struct Node;
pub(crate) struct ReadView;
pub(crate) struct Record {
    pub(crate) value: Bytes,
    pub(crate) revision: u64,
    pub(crate) created: u64,
}
impl ReadView {
    pub(crate) fn get(&self, _key: &[u8]) -> Result<Option<Record>> {
        Err(Error::internal(""))
    }
    pub(crate) fn page(
        &self,
        _range: &KeyRange,
        _limit: usize,
        _bytes: usize,
        _options: ScanOptions,
    ) -> Result<Page> {
        Err(Error::internal(""))
    }
}
impl Node {
    pub(crate) async fn open(_config: CheckedConfig) -> Result<Arc<Self>> {
        Err(Error::internal(""))
    }
    pub(crate) fn name(&self) -> &str {
        ""
    }
    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::ZERO
    }
    pub(crate) fn consistency(&self) -> Consistency {
        Consistency::Local
    }
    pub(crate) fn max_value_bytes(&self) -> usize {
        0
    }
    pub(crate) async fn propose(&self, _command: Command, _deadline: Instant) -> Result<Outcome> {
        Err(Error::internal(""))
    }
    pub(crate) async fn read(
        &self,
        _c: Consistency,
        _min: u64,
        _deadline: Instant,
    ) -> Result<ReadView> {
        Err(Error::internal(""))
    }
    pub(crate) async fn wait_ready(&self, _deadline: Instant) -> Result<()> {
        Err(Error::internal(""))
    }
    pub(crate) async fn close(&self) -> Result<()> {
        Err(Error::internal(""))
    }
    pub(crate) fn status(&self) -> Status {
        unreachable!()
    }
}
