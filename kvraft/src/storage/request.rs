//! `Requests` are the answers that outsiders may ask for again by their request ids.

use bytes::{BufMut, Bytes};
use imbl::{OrdMap, OrdSet};

use crate::codec::{Decoded, Reader};
use crate::command::{
    MAX_REQUESTS, MAX_REQUESTS_BYTES, MAX_STORED_OUTCOME_BYTES, Outcome, REQUEST_TTL_MS, Rejection,
};
use crate::storage::row::{RequestKey, row_hash};

/// An answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    /// What the request asked for, by the first half of its SHA-256.
    pub(super) fingerprint: u128,
    pub(super) outcome: Outcome,
    /// Cluster time of the answer.
    pub(super) at_ms: u64,
}

/// All requests that are remembered. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    by_key: OrdMap<RequestKey, Answered>,
    by_age: OrdSet<(u64, RequestKey)>,
    bytes: u64,
    hash: u64,
}

/// What the hash tells apart.
const HASH_REQUEST: u8 = 5;
/// Requests that may be forgotten with each new one: more than come in, so that they do not pile up.
const FORGET_AT_ONCE: usize = 8;

impl Answered {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.put_u128(self.fingerprint);
        out.put_u64(self.at_ms);
        self.outcome.encode(&mut out);
        out
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        let (fingerprint, at_ms) = (reader.u128()?, reader.u64()?);
        Ok(Self { fingerprint, outcome: Outcome::decode(reader)?, at_ms })
    }
}

/// Returns what tells one request from another.
pub(super) fn fingerprint(command: &Bytes) -> u128 {
    let digest = ring::digest::digest(&ring::digest::SHA256, command);
    let half = digest.as_ref().first_chunk::<16>().copied().unwrap_or_default();
    u128::from_be_bytes(half)
}

impl Requests {
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn count(&self) -> u64 {
        self.by_key.len() as u64
    }

    /// Returns how many bytes the keys and answers have.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, key: &RequestKey) -> Option<&Answered> {
        self.by_key.get(key)
    }

    /// Returns the first request behind `after`.
    pub(super) fn next(&self, after: Option<&RequestKey>) -> Option<RequestKey> {
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = (start.cloned(), std::ops::Bound::Unbounded);
        self.by_key.range(range).next().map(|(key, _)| key.clone())
    }

    /// Forgets some requests whose time is over, and returns which.
    pub(super) fn forget(&mut self, now_ms: u64) -> Vec<RequestKey> {
        let over = |(at_ms, _): &&(u64, RequestKey)| at_ms.saturating_add(REQUEST_TTL_MS) <= now_ms;
        let oldest = self.by_age.iter().take_while(over).take(FORGET_AT_ONCE);
        let keys: Vec<_> = oldest.map(|(_, key)| key.clone()).collect();
        for key in &keys {
            self.remove(key);
        }
        keys
    }

    /// Returns whether there is room for one more answer.
    pub(super) fn check_room(&self) -> Result<(), Rejection> {
        let full = self.count() >= MAX_REQUESTS || self.bytes >= MAX_REQUESTS_BYTES;
        if full { Err(Rejection::TooManyRequests { limit: MAX_REQUESTS }) } else { Ok(()) }
    }

    /// Keeps an answer; one that is too large only as the fact that it was applied.
    pub(super) fn record(&mut self, key: RequestKey, answered: Answered, revision: u64) {
        let kept = if answered.encode().len() > MAX_STORED_OUTCOME_BYTES {
            Answered { outcome: Outcome::AppliedAt { revision }, ..answered }
        } else {
            answered
        };
        self.insert(key, kept);
    }

    /// Puts an answer in its place.
    pub(super) fn insert(&mut self, key: RequestKey, answered: Answered) {
        self.remove(&key);
        let record = answered.encode();
        self.bytes += size(&key, &record);
        self.hash = self.hash.wrapping_add(row_hash(HASH_REQUEST, key.as_bytes(), &record));
        self.by_age.insert((answered.at_ms, key.clone()));
        self.by_key.insert(key, answered);
    }

    fn remove(&mut self, key: &RequestKey) {
        let Some(old) = self.by_key.remove(key) else { return };
        let record = old.encode();
        self.bytes -= size(key, &record);
        self.hash = self.hash.wrapping_sub(row_hash(HASH_REQUEST, key.as_bytes(), &record));
        self.by_age.remove(&(old.at_ms, key.clone()));
    }
}

fn size(key: &RequestKey, record: &[u8]) -> u64 {
    (key.as_bytes().len() + record.len()) as u64
}
