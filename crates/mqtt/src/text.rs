//! Which texts MQTT allows (MQTT 5.0 section 1.5.4, 3.1.1 section 1.5.3), and which of them are topic names and filters.
//!
//! The specification forbids U+0000 and surrogates and lets a receiver refuse control and non-characters; Tidewater does
//! refuse them, in every text, so that a topic can be logged, stored and shown as it is.

/// The bytes as text, if they are UTF-8 without control characters and non-characters.
pub fn check(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.chars().all(allowed) { Some(text) } else { None }
}

fn allowed(c: char) -> bool {
    let code = c as u32;
    !(c.is_control() || code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code))
}

/// A topic that a message can be published to: not empty, no wildcard.
pub fn topic_name(bytes: &[u8]) -> Option<&str> {
    // Almost every topic is plain ASCII and needs no look at single characters. No early exit: the compiler makes wide
    // compares of this.
    let plain = |byte: &u8| (0x20..0x7F).contains(byte) & (*byte != b'+') & (*byte != b'#');
    if bytes.iter().fold(!bytes.is_empty(), |all, byte| all & plain(byte)) {
        return std::str::from_utf8(bytes).ok();
    }
    check(bytes).filter(|text| !text.is_empty() && !text.contains(['+', '#']))
}

/// A topic filter: `+` fills a level, `#` fills the last one; `$share/` is followed by a name without wildcards and
/// another filter.
pub fn topic_filter(bytes: &[u8]) -> Option<&str> {
    let text = check(bytes)?;
    let plain = match text.strip_prefix("$share/") {
        Some(rest) => {
            let (group, filter) = rest.split_once('/')?;
            if group.is_empty() || group.contains(['+', '#']) {
                return None;
            }
            filter
        }
        None => text,
    };
    if plain.is_empty() {
        return None;
    }
    let mut levels = plain.split('/').peekable();
    while let Some(level) = levels.next() {
        let wildcard = level.contains(['+', '#']);
        if wildcard && (level.len() > 1 || (level == "#" && levels.peek().is_some())) {
            return None;
        }
    }
    Some(text)
}
