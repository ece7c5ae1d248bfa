//! `TypedMap` is a map whose keys and values are Rust types, for threads without an executor.

use std::fmt;

use futures_executor::{block_on, block_on_stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ReplicatedMap;
use crate::error::Result;
use crate::options::{Put, ReadOptions, ScanOptions, WriteOptions};

/// The blocking twin of [`TypedMap`](crate::TypedMap).
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(dir.path()))?;
/// use kvraft::blocking::TypedMap;
///
/// let ports: TypedMap<String, u16> = TypedMap::new(map);
/// ports.put(&"http".to_owned(), &80)?;
/// assert_eq!(ports.get(&"http".to_owned())?, Some(80));
/// # Ok::<(), kvraft::Error>(())
/// ```
pub struct TypedMap<K, V> {
    map: ReplicatedMap,
    typed: crate::TypedMap<K, V>,
}

impl<K, V> Clone for TypedMap<K, V> {
    fn clone(&self) -> Self {
        Self::new(self.map.clone())
    }
}

impl<K, V> fmt::Debug for TypedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedMap").field("map", &self.map).finish_non_exhaustive()
    }
}

impl<K, V> TypedMap<K, V> {
    /// Gives the keys and values of `map` their types.
    #[must_use]
    pub fn new(map: ReplicatedMap) -> Self {
        Self { typed: crate::TypedMap::new(map.0.clone()), map }
    }

    /// Returns the map of bytes behind it.
    #[must_use]
    pub const fn map(&self) -> &ReplicatedMap {
        &self.map
    }
}

impl<K, V> TypedMap<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// Reads the value of `key`.
    ///
    /// # Errors
    /// As [`TypedMap::get`](crate::TypedMap::get).
    pub fn get(&self, key: &K) -> Result<Option<V>> {
        block_on(self.typed.get(key))
    }

    /// Reads the value of `key` with options.
    ///
    /// # Errors
    /// As [`TypedMap::get_with`](crate::TypedMap::get_with).
    pub fn get_with(&self, key: &K, options: ReadOptions) -> Result<Option<V>> {
        block_on(self.typed.get_with(key, options))
    }

    /// Gives `key` a value and returns the revision of the change.
    ///
    /// # Errors
    /// As [`TypedMap::put`](crate::TypedMap::put).
    pub fn put(&self, key: &K, value: &V) -> Result<u64> {
        block_on(self.typed.put(key, value))
    }

    /// Gives `key` a value with options.
    ///
    /// # Errors
    /// As [`TypedMap::put_with`](crate::TypedMap::put_with).
    pub fn put_with(&self, key: &K, value: &V, options: WriteOptions) -> Result<Put> {
        block_on(self.typed.put_with(key, value, options))
    }

    /// Takes `key` away; returns whether it had a value.
    ///
    /// # Errors
    /// As [`TypedMap::delete`](crate::TypedMap::delete).
    pub fn delete(&self, key: &K) -> Result<bool> {
        block_on(self.typed.delete(key))
    }

    /// Iterates over all keys and values as they stand at one moment.
    ///
    /// # Errors
    /// As [`TypedMap::scan`](crate::TypedMap::scan).
    pub fn scan(
        &self,
        options: ScanOptions,
    ) -> Result<impl Iterator<Item = Result<(K, V)>> + Send + use<K, V>> {
        Ok(block_on_stream(block_on(self.typed.scan(options))?))
    }
}
