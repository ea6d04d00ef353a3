use model::TenantId;

use super::*;

fn none() -> KnownProfile {
    KnownProfile::default()
}

fn topic(name: &str) -> Source {
    Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: name.into() }
}

#[test]
fn an_index_is_dense_and_keeps_its_meaning() {
    let table = DeviceTable::default();
    assert_eq!(table.index_of(&topic("a"), &none()), Ok(DeviceIndex(0)));
    assert_eq!(table.index_of(&topic("b"), &none()), Ok(DeviceIndex(1)));
    assert_eq!(table.index_of(&topic("a"), &none()), Ok(DeviceIndex(0)));
    let bound = |index| table.bindings(&[DeviceIndex(index)]);
    assert_eq!(bound(1), [Control::bind(DeviceIndex(1), topic("b"))]);
    assert_eq!(bound(2), []);
}

#[test]
fn a_restored_table_never_gives_out_an_index_again() {
    let table = DeviceTable::default();
    table.restore([(DeviceIndex(4), topic("old")), (DeviceIndex(4), topic("old"))]);
    assert_eq!(table.index_of(&topic("new"), &none()), Ok(DeviceIndex(5)));
    assert_eq!(table.index_of(&topic("old"), &none()), Ok(DeviceIndex(4)));
}

#[test]
fn a_class_makes_another_source() {
    let table = DeviceTable::default();
    let of = |class: &str| Source::Device {
        tenant: TenantId::from_bytes([1; 16]),
        device: DeviceId::from_bytes([2; 16]),
        class: class.into(),
    };
    let indices = ["pump", "valve", "pump"].map(|class| table.index_of(&of(class), &none()).unwrap().0);
    assert_eq!(indices, [0, 1, 0]);
    let records = table.bindings(&[DeviceIndex(1), DeviceIndex(0)]);
    let expect = [Control::bind(DeviceIndex(0), of("pump")), Control::bind(DeviceIndex(1), of("valve"))];
    assert_eq!(records, expect, "a record for each class");
}

fn device(number: u8) -> Source {
    let (tenant, device) = (TenantId::from_bytes([1; 16]), DeviceId::from_bytes([number; 16]));
    Source::Device { tenant, device, class: "pump".into() }
}

fn site(name: &str) -> KnownProfile {
    let profile = Arc::new(Profile { schema_id: None, tags: vec![("site".to_owned(), name.to_owned())] });
    KnownProfile { profile, ..KnownProfile::default() }
}

#[test]
fn an_index_keeps_its_device_when_the_profile_changes() {
    let table = DeviceTable::default();
    let index = table.index_of(&device(1), &none()).unwrap();
    assert_eq!(table.index_of(&device(1), &none()), Ok(index));
    assert_eq!(table.take_changed(), [], "nothing has changed");
    assert_eq!(table.index_of(&device(1), &site("north")), Ok(index));
    assert_eq!(table.take_changed(), [index]);
    assert_eq!(table.take_changed(), [], "it was told once");
    assert_eq!(table.index_of(&device(1), &site("north")), Ok(index));
    assert_eq!(table.take_changed(), [], "an equal profile is the same");
    let [Control::BindDevices { profile, devices, .. }] = &table.bindings(&[index])[..] else { panic!("one record") };
    assert_eq!((profile, devices.len()), (&site("north").profile, 1));
    assert_eq!(table.find(&device(1)), Some(index));
}

/// A profile was set back for good by who had asked for it before the change and came with it behind the change's answer.
#[test]
fn what_was_learnt_before_a_change_does_not_replace_what_was_learnt_after_it() {
    let table = DeviceTable::default();
    let at = |revision, name: &str| KnownProfile { revision: Revision(revision), ..site(name) };
    let learn = |known: KnownProfile| {
        let index = table.index_of(&device(1), &known).unwrap();
        let [Control::BindDevices { profile, .. }] = &table.bindings(&[index])[..] else { panic!("one record") };
        profile.tags[0].1.clone()
    };
    assert_eq!(learn(at(1, "north")), "north");
    assert_eq!(learn(at(2, "south")), "south");
    assert_eq!(table.take_changed().len(), 1);
    assert_eq!(learn(at(1, "north")), "south", "it was under way while the device moved");
    assert_eq!(table.take_changed(), []);
    // What a change left as it was, or took back, counts as well.
    assert_eq!(learn(at(4, "south")), "south");
    assert_eq!(learn(at(3, "north")), "south");
    assert_eq!(learn(at(5, "north")), "north");
    // Another process's change is seen when an answer has aged, without a change in this one.
    assert_eq!(learn(at(5, "east")), "east");
    // The count goes round.
    assert_eq!(learn(at(u32::MAX / 2, "west")), "west");
    assert_eq!(learn(at(u32::MAX - 3, "north")), "north");
    assert_eq!(learn(at(3, "south")), "south");
    assert_eq!(learn(at(u32::MAX - 3, "north")), "south");
}

#[test]
fn what_is_restored_gets_its_profile_from_who_uses_it() {
    let table = DeviceTable::default();
    table.restore([(DeviceIndex(0), device(1))]);
    table.index_of(&device(1), &site("north")).unwrap();
    assert_eq!(table.take_changed(), [DeviceIndex(0)]);
    // The ingest thread tells of every binding that it reads: it must not take the profile back.
    table.restore([(DeviceIndex(0), device(1))]);
    table.index_of(&device(1), &site("north")).unwrap();
    assert_eq!(table.take_changed(), []);
}

#[test]
fn a_record_for_each_profile_and_no_cohort_is_left_behind() {
    let table = DeviceTable::default();
    let indices: Vec<_> = (0..6).map(|number| table.index_of(&device(number), &none()).unwrap()).collect();
    for round in 0..100 {
        for number in 0..6 {
            table.index_of(&device(number), &site(&format!("{round}-{}", number % 2))).unwrap();
        }
        let bound: Vec<(String, usize)> = table
            .bindings(&indices)
            .iter()
            .map(|record| match record {
                Control::BindDevices { profile, devices, .. } => (profile.tags[0].1.clone(), devices.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        let mut bound = bound;
        bound.sort();
        assert_eq!(bound, [(format!("{round}-0"), 3), (format!("{round}-1"), 3)]);
    }
    let bindings = table.read();
    assert!(bindings.cohorts.len() <= 4, "{} cohorts", bindings.cohorts.len());
    assert_eq!(bindings.cohort_numbers.len(), 2);
}
