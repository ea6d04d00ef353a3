//! Newline-delimited JSON: each line is one payload, so that a bad line costs only itself.

use bytes::Bytes;

/// The lines of a body that are not blank, in order, each with its number from 0. Nothing is copied. A carriage return
/// before the newline is white space.
pub fn lines(body: &Bytes) -> impl Iterator<Item = (usize, Bytes)> + '_ {
    let mut rest = body.clone();
    let split = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = rest.split_to(end.unwrap_or(rest.len()));
        if end.is_some() {
            drop(rest.split_to(1));
        }
        Some(line)
    });
    split.enumerate().filter(|(_, line)| !line.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &'static str, expect: &[(usize, &str)]) {
        let body = Bytes::from_static(body.as_bytes());
        let found: Vec<_> =
            lines(&body).map(|(number, line)| (number, String::from_utf8_lossy(&line).into_owned())).collect();
        let found: Vec<_> = found.iter().map(|(number, line)| (*number, line.as_str())).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn lines_are_split_and_blank_ones_skipped() {
        check("", &[]);
        check("\n\r\n  \n", &[]);
        check("{}", &[(0, "{}")]);
        check("{}\n", &[(0, "{}")]);
        check("a\r\n\nb\n{\"x\":\"\\n\"}", &[(0, "a\r"), (2, "b"), (3, "{\"x\":\"\\n\"}")]);
    }
}
