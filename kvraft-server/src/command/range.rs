//! A `Range` is which keys a command is about; a key is any bytes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgMatches, value_parser};

use super::switch;
use crate::client::{Failure, Request};

/// Keys with a prefix, from a start and up to an end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) prefix: Option<Vec<u8>>,
    pub(super) start: Option<Vec<u8>>,
    pub(super) end: Option<Vec<u8>>,
}

impl Range {
    pub(super) fn args() -> [Arg; 4] {
        let bound = |name: &'static str, value: &'static str, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .value_parser(value_parser!(OsString))
                .help(help)
        };
        [
            bound("prefix", "PREFIX", "Keys that begin so"),
            bound("start", "KEY", "Keys from this one on"),
            bound("end", "KEY", "Keys before this one"),
            base64_arg(),
        ]
    }

    pub(super) fn read(matches: &ArgMatches) -> Result<Self> {
        Ok(Self {
            prefix: bytes(matches, "prefix")?,
            start: bytes(matches, "start")?,
            end: bytes(matches, "end")?,
        })
    }

    pub(super) const fn is_all(&self) -> bool {
        self.prefix.is_none() && self.start.is_none() && self.end.is_none()
    }

    /// Adds it to a request.
    pub(super) fn of(&self, request: Request) -> Request {
        request
            .maybe("prefix", self.prefix.as_ref())
            .maybe("start", self.start.as_ref())
            .maybe("end", self.end.as_ref())
    }
}

pub(super) fn base64_arg() -> Arg {
    switch("key-base64", "Keys on the command line are in base64, for those that are not text")
}

pub(super) fn key_arg() -> Arg {
    Arg::new("key").value_name("KEY").value_parser(value_parser!(OsString)).help("The key")
}

/// The bytes of an argument that is a key or a part of one.
pub(super) fn bytes(matches: &ArgMatches, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(given) = matches.get_one::<OsString>(name).cloned() else { return Ok(None) };
    let given = given.into_vec();
    if !matches.get_flag("key-base64") {
        return Ok(Some(given));
    }
    let wrong = |_| Failure::usage(format!("{name} is not base64, as --key-base64 says"));
    STANDARD.decode(given).map(Some).map_err(wrong)
}

/// The key of a command that has to have one.
pub(super) fn key(matches: &ArgMatches) -> Result<Vec<u8>> {
    bytes(matches, "key")?.ok_or_else(|| Failure::usage("a key is missing"))
}
