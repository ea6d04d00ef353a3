//! What a server sends to the client of the load generator: both versions.
//!
//! Holds: no panic; a packet is found once it is whole and not before; it takes no more than there is.

use mqtt::{Version, client};

use crate::input::Input;

const PACKET_BYTES_MAX: usize = 1024;

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let version = if input.u8() & 1 == 0 { Version::V3 } else { Version::V5 };
    let mut rest = input.0;
    while let Ok(Some((reply, used))) = decode(rest, version) {
        assert!((2..=rest.len().min(PACKET_BYTES_MAX)).contains(&used));
        let again = client::decode(&rest[..used], version, PACKET_BYTES_MAX);
        assert_eq!(again, Ok(Some((reply, used))), "what follows a packet changes it");
        for len in [0, 1, used / 2, used - 1] {
            let cut = client::decode(&rest[..len], version, PACKET_BYTES_MAX);
            assert_eq!(cut, Ok(None), "{len} bytes of {used} are no packet");
        }
        rest = &rest[used..];
    }
}

type Decoded<'a> = Result<Option<(client::Reply<'a>, usize)>, mqtt::Error>;

#[cfg(not(feature = "sabotage"))]
fn decode(input: &[u8], version: Version) -> Decoded<'_> {
    client::decode(input, version, PACKET_BYTES_MAX)
}

/// The planted panic: the length is believed before the bytes are there.
#[cfg(feature = "sabotage")]
fn decode(input: &[u8], version: Version) -> Decoded<'_> {
    if let [first, len @ 1..0x80, ..] = *input {
        assert!(first == 0 || !input[2..2 + usize::from(len)].is_empty());
    }
    client::decode(input, version, PACKET_BYTES_MAX)
}
