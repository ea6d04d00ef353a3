use super::*;

fn held(session: u128, packet_id: u16) -> Control {
    Control::Held { session: SessionKey(session), packet_id, payload_hash: 9 }
}

#[test]
fn ids_are_held_until_released_or_the_session_ends() {
    let mut ids = HeldIds::default();
    [held(1, 7), held(1, 8), held(2, 7), held(3, 1)].iter().for_each(|control| ids.apply(control));
    ids.apply(&Control::Released { session: SessionKey(1), packet_id: 7 });
    ids.apply(&Control::Released { session: SessionKey(2), packet_id: 7 });
    ids.apply(&Control::SessionEnded { session: SessionKey(3) });
    assert_eq!(ids.0, HashMap::from([(SessionKey(1), BTreeMap::from([(8, 9)]))]));

    let mut bytes = Vec::new();
    ids.encode(&mut bytes);
    assert_eq!(HeldIds::decode(&mut bytes.as_slice()), Ok(ids));
    assert_eq!(HeldIds::decode(&mut &bytes[..bytes.len() - 1]), Err(Short));
}
