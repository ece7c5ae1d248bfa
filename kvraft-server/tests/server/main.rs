//! The built binary, as its clients and its operators meet it.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod client;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod common;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod followers;
#[cfg(test)]
mod http;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod members;
#[cfg(test)]
mod process;
#[cfg(test)]
mod ran;
#[cfg(test)]
mod rolling;
#[cfg(test)]
mod security;
#[cfg(test)]
mod single;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod whole;
#[cfg(test)]
mod wire;
