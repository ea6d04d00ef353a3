//! The server from outside: MQTT and HTTP in, queries out, over real sockets and a real disk.
//!
//! Each test states the promise that it holds the server to. [`world`] starts a server in this process, [`program`] the
//! shipped binary; [`client`] speaks MQTT in raw packets and [`api`] speaks HTTP.

#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

mod api;
mod client;
mod load;
mod program;
mod wait;
mod world;

mod clock;
mod damage;
mod durability;
mod evolution;
mod external;
mod faults;
mod http;
mod kill;
mod limits;
mod overload;
mod publish;
mod quota;
mod refusal;
mod revocation;
mod rules;
mod sessions;
mod vectors;
