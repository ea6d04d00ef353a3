use super::*;

fn known(index: u32) -> KnownDevice {
    KnownDevice {
        tenant: TenantId::from_bytes([(index % 3) as u8; 16]),
        index: DeviceIndex(index),
        format: Format::Json,
        flags: GroupFlags::default(),
    }
}

fn id(number: u32) -> DeviceId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    DeviceId::from_bytes(bytes)
}

#[test]
fn an_entry_is_small() {
    assert_eq!(size_of::<(DeviceId, Entry)>(), 28);
}

#[test]
fn what_was_said_of_a_device_is_what_is_known() {
    let mut devices = KnownDevices::new(100);
    (0..50).for_each(|n| devices.insert(id(n), known(n)));
    assert!((0..50).all(|n| devices.get(id(n)) == Some(known(n))));
    devices.remove(id(7));
    assert_eq!((devices.get(id(7)), devices.contains(id(7)), devices.contains(id(8))), (None, false, true));
    devices.clear();
    assert!((0..50).all(|n| devices.get(id(n)).is_none()));
}

#[test]
fn bringing_near_changes_nothing() {
    let mut devices = KnownDevices::new(4 * NEAR);
    (0..2 * NEAR as u32).for_each(|n| devices.insert(id(n), known(n)));
    devices.take_heard();
    devices.bring_near(&[id(1), id(2), id(u32::MAX)]);
    assert_eq!(devices.take_heard(), [], "it is not heard of by that");
    assert_eq!((devices.get(id(1)), devices.get(id(u32::MAX))), (Some(known(1)), None));
}

#[test]
fn it_is_bounded_and_keeps_what_is_in_use() {
    let mut devices = KnownDevices::new(100);
    for n in 0..10_000 {
        devices.insert(id(n), known(n));
        assert_eq!(devices.get(id(0)), Some(known(0)), "it is heard of all the time");
        assert!(devices.young.len() <= 100 && devices.old.len() <= 100);
    }
    assert_eq!(devices.get(id(1)), None);
    devices.remove(id(0));
    assert_eq!(devices.get(id(0)), None, "from both generations");
}

#[test]
fn a_device_is_heard_once_a_round() {
    let mut devices = KnownDevices::new(2);
    devices.insert(id(1), known(1));
    devices.insert(id(2), known(2));
    (0..5).for_each(|_| assert!(devices.get(id(1)).is_some()));
    assert_eq!(devices.take_heard(), [id(1), id(2)]);
    devices.get(id(2));
    // Into the next generation and back.
    devices.insert(id(3), known(3));
    devices.get(id(2));
    assert_eq!(devices.take_heard(), [id(2), id(3)]);
    assert_eq!(devices.take_heard(), []);
}
