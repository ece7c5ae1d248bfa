//! `TypedMap` is a map whose keys and values are Rust types.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ReplicatedMap;
use crate::error::{Error, Result};
use crate::options::{KeyRange, Put, ReadOptions, ScanOptions, WriteOptions};

/// A [`ReplicatedMap`] whose keys are `K` and whose values are `V`, both stored as JSON, so that
/// programs in other languages and curl read them too.
///
/// A handle like the map itself, which [`map`](Self::map) gives for everything else. The JSON of a
/// key has at most 511 bytes, that of a value at most `max_value_bytes`. Keys are in the order of
/// their JSON: text in that of its bytes, but numbers not in that of their value. A key must have
/// one form only: do not use types whose fields come in any order, such as hash maps.
///
/// # Examples
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// use kvraft::TypedMap;
///
/// let ports: TypedMap<String, u16> = TypedMap::new(map.clone());
/// ports.put(&"http".to_owned(), &80).await?;
/// assert_eq!(ports.get(&"http".to_owned()).await?, Some(80));
/// assert_eq!(map.get("\"http\"").await?.as_deref(), Some(&b"80"[..]));
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
pub struct TypedMap<K, V> {
    map: ReplicatedMap,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Clone for TypedMap<K, V> {
    fn clone(&self) -> Self {
        Self::new(self.map.clone())
    }
}

impl<K, V> fmt::Debug for TypedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedMap").field("map", &self.map).finish()
    }
}

impl<K, V> TypedMap<K, V> {
    /// Gives the keys and values of `map` their types.
    #[must_use]
    pub const fn new(map: ReplicatedMap) -> Self {
        Self { map, types: PhantomData }
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
    /// As [`ReplicatedMap::get`]; `InvalidArgument` if the key has no JSON, or its value is no `V`.
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn get(&self, key: &K) -> Result<Option<V>> {
        self.get_with(key, ReadOptions::default()).await
    }

    /// Reads the value of `key` with options.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn get_with(&self, key: &K, options: ReadOptions) -> Result<Option<V>> {
        let entry = self.map.get_with(encoded("key", key)?, options).await?;
        entry.map(|entry| decoded("value", &entry.value)).transpose()
    }

    /// Gives `key` a value and returns the revision of the change.
    ///
    /// # Errors
    /// As [`ReplicatedMap::put`]; `InvalidArgument` if key or value has no JSON.
    ///
    /// # Cancel safety
    /// As [`ReplicatedMap::put`].
    pub async fn put(&self, key: &K, value: &V) -> Result<u64> {
        Ok(self.put_with(key, value, WriteOptions::default()).await?.revision)
    }

    /// Gives `key` a value with options.
    ///
    /// # Errors
    /// As [`put`](Self::put) and [`ReplicatedMap::put_with`].
    ///
    /// # Cancel safety
    /// As [`ReplicatedMap::put`].
    pub async fn put_with(&self, key: &K, value: &V, options: WriteOptions) -> Result<Put> {
        self.map.put_with(encoded("key", key)?, encoded("value", value)?, options).await
    }

    /// Takes `key` away; returns whether it had a value.
    ///
    /// # Errors
    /// As [`ReplicatedMap::delete`]; `InvalidArgument` if the key has no JSON.
    ///
    /// # Cancel safety
    /// As [`ReplicatedMap::delete`].
    pub async fn delete(&self, key: &K) -> Result<bool> {
        self.map.delete(encoded("key", key)?).await
    }

    /// Reads all keys and values as they stand at one moment, which it keeps for 30 s.
    ///
    /// # Errors
    /// As [`ReplicatedMap::scan`]; the stream tells a key or value that is of another type as
    /// `InvalidArgument`, and goes on.
    pub async fn scan(
        &self,
        options: ScanOptions,
    ) -> Result<impl Stream<Item = Result<(K, V)>> + Send + Unpin + use<K, V>> {
        let entries = self.map.scan(KeyRange::all(), options).await?;
        Ok(entries.map(|entry| {
            let entry = entry?;
            Ok((decoded("key", &entry.key)?, decoded("value", &entry.value)?))
        }))
    }
}

fn encoded<T: Serialize>(what: &str, value: &T) -> Result<Bytes> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| Error::invalid(format!("the {what} has no JSON")).with_source(error))
}

fn decoded<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::invalid(format!(
            "a {what} is no {}; somebody else has written it, or another version of the type",
            std::any::type_name::<T>()
        ))
        .with_source(error)
    })
}
