use model::TenantId;

use super::*;

fn topic(name: &str) -> Source {
    Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: name.into() }
}

#[test]
fn an_index_is_dense_and_keeps_its_meaning() {
    let table = DeviceTable::default();
    assert_eq!(table.index_of(&topic("a")), Ok(DeviceIndex(0)));
    assert_eq!(table.index_of(&topic("b")), Ok(DeviceIndex(1)));
    assert_eq!(table.index_of(&topic("a")), Ok(DeviceIndex(0)));
    let bound = |index| table.bindings(&[DeviceIndex(index)]);
    assert_eq!(bound(1), [Control::bind(DeviceIndex(1), topic("b"))]);
    assert_eq!(bound(2), []);
}

#[test]
fn a_restored_table_never_gives_out_an_index_again() {
    let table = DeviceTable::default();
    table.restore([(DeviceIndex(4), topic("old")), (DeviceIndex(4), topic("old"))]);
    assert_eq!(table.index_of(&topic("new")), Ok(DeviceIndex(5)));
    assert_eq!(table.index_of(&topic("old")), Ok(DeviceIndex(4)));
}

#[test]
fn a_class_makes_another_source() {
    let table = DeviceTable::default();
    let of = |class: &str| Source::Device {
        tenant: TenantId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([2; 16]),
        class: class.into(),
    };
    let indices = ["pump", "valve", "pump"].map(|class| table.index_of(&of(class)).unwrap().0);
    assert_eq!(indices, [0, 1, 0]);
    let records = table.bindings(&[DeviceIndex(1), DeviceIndex(0)]);
    let expect = [Control::bind(DeviceIndex(1), of("valve")), Control::bind(DeviceIndex(0), of("pump"))];
    assert_eq!(records, expect, "a record for each class");
}
