//! The built binary, as its clients and its operators meet it.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod common;
#[cfg(test)]
mod http;
#[cfg(test)]
mod members;
#[cfg(test)]
mod process;
#[cfg(test)]
mod whole;
