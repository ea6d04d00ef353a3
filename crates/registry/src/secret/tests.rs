use super::*;

fn check(kind: SecretKind, text: &str, expect: bool) {
    assert_eq!(Digest::of_token(kind, text).is_some(), expect, "{text:?} as {kind:?}");
}

#[test]
fn a_token_is_recognised_by_its_own_kind_only() {
    let device = Secret::random(SecretKind::Device);
    check(SecretKind::Device, device.expose(), true);
    check(SecretKind::Key, device.expose(), false);
    let key = Secret::random(SecretKind::Key);
    check(SecretKind::Key, key.expose(), true);
    assert_eq!(key.expose().len(), TOKEN_CHARACTERS);
}

#[test]
fn every_mistake_of_one_character_is_found() {
    let token = Secret::random(SecretKind::Device);
    for at in 0..token.expose().len() {
        let mut wrong = token.expose().as_bytes().to_vec();
        wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
        check(SecretKind::Device, std::str::from_utf8(&wrong).unwrap(), false);
    }
    check(SecretKind::Device, "", false);
    check(SecretKind::Device, "twd_", false);
    check(SecretKind::Device, &token.expose()[1..], false);
    check(SecretKind::Device, &format!("{}0", token.expose()), false);
    check(SecretKind::Device, &"€".repeat(18), false);
}

#[test]
fn the_text_is_fixed_for_good() {
    // Tokens in the field must stay valid: prefix, alphabet and checksum never change.
    let text = "twd_0000000000000000000000000000000000000000000";
    let sum = checksum(text.as_bytes());
    assert_eq!(std::str::from_utf8(&sum).unwrap(), "3sIPum");
}

#[test]
fn digests_compare_by_every_byte() {
    let token = Secret::random(SecretKind::Key);
    let digest = token.digest();
    assert!(digest.same(&Digest::of_token(SecretKind::Key, token.expose()).unwrap()));
    for at in 0..32 {
        let mut other = digest;
        other.0[at] ^= 1;
        assert!(!digest.same(&other));
    }
}

#[test]
fn debug_shows_nothing() {
    let token = Secret::random(SecretKind::Key);
    assert_eq!(format!("{token:?} {:?}", token.digest()), "Secret(…) Digest(…)");
}

#[test]
fn a_digest_reads_from_hex() {
    let digest = Secret::random(SecretKind::Key).digest();
    let hex: String = digest.as_slice().iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(Digest::from_hex(&hex), Some(digest));
    for wrong in [&hex[1..], &format!("{hex}0"), "", &format!("+{}", &hex[1..]), &"g".repeat(64), &"€".repeat(32)] {
        assert_eq!(Digest::from_hex(wrong), None, "{wrong}");
    }
}
