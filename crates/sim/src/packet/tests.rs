use super::*;

#[track_caller]
fn check(version: Version, qos: Qos, payload_len: usize) {
    let head = PublishHead::new(version, qos, "a/b", payload_len);
    let payload = vec![b'x'; payload_len];
    let mut patched = [head.bytes.as_slice(), &payload].concat();
    if let Some(id_at) = head.id_at {
        patched[id_at..id_at + 2].copy_from_slice(&[0x12, 0x34]);
    }
    patched[head.topic_at] = b'z';
    let mut expect = Vec::new();
    PublishTemplate::new(version, "z/b", qos, &[]).encode(&mut expect, 0x1234, &payload);
    assert_eq!(patched, expect);
}

#[test]
fn a_patched_head_is_what_the_codec_encodes() {
    for version in [Version::V3, Version::V5] {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            check(version, qos, 3);
            check(version, qos, 300);
        }
    }
}

#[test]
fn a_lost_credential_is_final_and_a_busy_server_is_not() {
    let (client_id, user, password) = Default::default();
    let mut login = Login { version: Version::V3, client_id, user, password, keep_session: false, keep_alive_s: 0 };
    assert!(login.may_retry(Reason(3)) && !login.may_retry(Reason(5)));
    assert_eq!(login.refusal(Reason(4)), "bad user name or password (return code 4)");
    login.version = Version::V5;
    assert!(login.may_retry(Reason::QUOTA_EXCEEDED) && !login.may_retry(Reason::NOT_AUTHORIZED));
    assert_eq!(login.refusal(Reason::NOT_AUTHORIZED), "not authorized (0x87)");
}
