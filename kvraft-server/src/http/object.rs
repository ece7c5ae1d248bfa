//! `Object` is a JSON object and nothing else: serde would take a list of its fields for one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What an object says.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

/// Reads a list of objects; an error names the list and where in it the fault is.
pub(crate) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    name: &'static str,
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Items { name, items: PhantomData })
}

struct Items<T> {
    name: &'static str,
    items: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as a list of objects", self.name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        let at = |index, error| A::Error::custom(format_args!("{}[{index}]: {error}", self.name));
        while let Some(Object(item)) =
            list.next_element().map_err(|error| at(items.len(), error))?
        {
            items.push(item);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<Value>>, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        let objects = list::<serde_json::Map<String, Value>, _>("then", &mut json);
        let values = objects.map(|objects| {
            objects.into_iter().map(|object| object.into_values().collect()).collect()
        });
        values.map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_in_the_place_of_an_object_is_refused_where_it_stands() {
        assert_eq!(read(r#"[{"a": 1}, {}]"#), Ok(vec![vec![1.into()], vec![]]));
        let error = read(r#"[{}, {}, ["a", 1]]"#).unwrap_err();
        assert!(
            error.starts_with("then[2]: invalid type: sequence, expected an object"),
            "{error}"
        );
        assert!(error.ends_with("at line 1 column 9"), "{error}");
        assert!(read("{}").unwrap_err().contains("then as a list of objects"));
    }
}
