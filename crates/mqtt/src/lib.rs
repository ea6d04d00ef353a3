//! MQTT 3.1.1 and 5.0 without I/O: bytes to packets, packets to bytes, and what a server must remember of a client.
//!
//! [`frame()`] finds packets in a stream that arrives in any pieces. [`Session`] is one connection's protocol state on
//! the server: bytes in, [`Action`]s and answers out, acknowledgements when the caller says that they are durable.
//! [`SessionState`] is the part that outlives the connection. [`client`] is the other side, for load and tests.
//!
//! It never opens a socket, never reads a clock, never blocks and never decides who may do what: the caller owns time,
//! bytes, credentials and topics.

pub mod client;
mod encode;
pub mod error;
pub mod frame;
pub mod packet;
pub mod property;
pub mod reason;
pub mod session;
pub mod text;
mod wire;

pub use error::Error;
pub use frame::{Frame, Framed, frame};
pub use packet::connect::{Connect, Will};
pub use packet::publish::PublishPacket;
pub use packet::subscribe::{Filter, Subscribe, Unsubscribe};
pub use packet::{Qos, Version};
pub use property::{Properties, Property, PropertyId, Value};
pub use reason::Reason;
pub use session::{Ack, Acks, Action, Close, Grant, Offer, Publish, Session, SessionState, Step, StoredWill, Topic};
