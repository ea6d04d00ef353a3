use model::{TableKind, TenantId};

use super::*;

const HOUR: i64 = 3_600_000;

fn table() -> Table {
    Table { tenant: TenantId::from_bytes([1; 16]), class: "pumps".into(), kind: TableKind::Readings }
}

fn block(id: u64, rows: u64) -> Entry {
    Entry {
        id,
        table: table(),
        partition: Partition(0),
        sequences: (id, id),
        late: false,
        narrow: false,
        damaged: false,
        rows,
        devices: 100,
        device_min: DeviceId::from_bytes([0; 16]),
        device_max: DeviceId::from_bytes([9; 16]),
        ts_min: id as i64 * HOUR,
        ts_max: (id as i64 + 1) * HOUR - 1,
        newest: (id as i64 + 1) * HOUR - 1,
        bytes: 2 * rows,
        tail_at: 0,
        tail_crc: 0,
    }
}

fn check_merge(blocks: Vec<Entry>, expect: Option<&[u64]>) {
    let catalog = Catalog { blocks, ..Catalog::default() };
    assert_eq!(merge(&catalog, |_| false, |_| None).as_deref(), expect);
}

fn blocks(rows: &[u64]) -> Vec<Entry> {
    rows.iter().zip(0..).map(|(rows, id)| block(id, *rows)).collect()
}

#[test]
fn four_neighbours_are_merged_and_three_are_not() {
    check_merge(blocks(&[10, 10, 10]), None);
    check_merge(blocks(&[10, 10, 10, 10]), Some(&[0, 1, 2, 3]));
}

#[test]
fn a_merge_at_least_doubles_its_largest_run() {
    check_merge(blocks(&[100, 10, 10, 10]), None);
    check_merge(blocks(&[100, 10, 10, 10, 10]), Some(&[1, 2, 3, 4]));
    check_merge(blocks(&[100, 40, 40, 40]), Some(&[0, 1, 2, 3]));
}

#[test]
fn what_is_not_alike_is_not_merged() {
    let mut late = blocks(&[10, 10, 10, 10]);
    late[1].late = true;
    check_merge(late, None);
    let mut damaged = blocks(&[10, 10, 10, 10]);
    damaged[2].damaged = true;
    check_merge(damaged, None);
    let mut partitions = blocks(&[10, 10, 10, 10]);
    partitions[0].partition = Partition(1);
    check_merge(partitions, None);
}

#[test]
fn the_blocks_of_one_run_are_merged_together() {
    let mut run = blocks(&[10, 10, 10, 10, 10]);
    run[1].sequences = (0, 1);
    run[0].sequences = (0, 1);
    check_merge(run, Some(&[0, 1, 2, 3, 4]));
}

#[test]
fn a_run_with_whole_pages_for_each_device_is_left_alone() {
    let rows = BLOCK_ROWS_MAX as u64;
    assert!(rows / 100 > DEVICE_ROWS_ENOUGH);
    check_merge(blocks(&[rows; 4]), None);
    let mut many = blocks(&[rows; 4]);
    many.iter_mut().for_each(|entry| entry.devices = 100_000);
    check_merge(many, Some(&[0, 1, 2, 3]));
}

#[test]
fn a_run_spans_a_share_of_the_retention_only() {
    let catalog = Catalog { blocks: blocks(&[SMALL_ROWS; 8]), ..Catalog::default() };
    assert_eq!(merge(&catalog, |_| false, |_| Some(8 * 3 * HOUR)), None);
    assert_eq!(merge(&catalog, |_| false, |_| Some(8 * 4 * HOUR)), Some(vec![0, 1, 2, 3]));
}

/// However the blocks come, each row is rewritten a few times only.
#[test]
fn rows_are_rewritten_a_logarithmic_number_of_times() {
    let mut catalog = Catalog::default();
    let (mut inserted, mut rewritten) = (0, 0);
    for id in 0..2000 {
        let mut entry = block(id, 1000 + id % 700);
        entry.devices = 1_000_000;
        inserted += entry.rows;
        catalog.add([entry]);
        while let Some(ids) = merge(&catalog, |_| false, |_| None) {
            let (merged, kept) = catalog.blocks.into_iter().partition(|entry| ids.contains(&entry.id));
            catalog.blocks = kept;
            let merged: Vec<Entry> = merged;
            let mut run = merged[0].clone();
            run.sequences.1 = merged[merged.len() - 1].sequences.1;
            run.rows = merged.iter().map(|entry| entry.rows).sum();
            rewritten += run.rows;
            catalog.add([run]);
        }
    }
    assert!(rewritten < 7 * inserted, "{rewritten} {inserted}");
    assert!(catalog.blocks.len() < 40, "{}", catalog.blocks.len());
}

#[test]
fn a_block_is_dropped_when_its_newest_row_is_old() {
    let catalog = Catalog { blocks: blocks(&[10, 10, 10]), ..Catalog::default() };
    assert_eq!(drop_old(&catalog, |_| 2 * HOUR - 1), [0]);
    assert_eq!(drop_old(&catalog, |_| 2 * HOUR), [0, 1]);
}

#[test]
fn only_blocks_that_hold_an_erased_device_are_rewritten() {
    let mut catalog = Catalog { blocks: blocks(&[10, 10, 10]), ..Catalog::default() };
    let device = DeviceId::from_bytes([5; 16]);
    catalog.erased.insert(device, 0);
    catalog.blocks[0].device_max = DeviceId::from_bytes([4; 16]);
    assert_eq!(rewrite(&catalog, |entry, _| entry.id != 1), [2]);
    assert_eq!(forget(&catalog, 48 * HOUR), []);
    assert_eq!(forget(&catalog, 48 * HOUR + 1), [device]);
}

#[test]
fn the_retention_clock_follows_the_wall_but_not_its_jumps() {
    let second = Duration::from_secs(1);
    assert_eq!(age_to(0, 5000, second), 5000);
    assert_eq!(age_to(5000, 6000, second), 6000);
    assert_eq!(age_to(5000, 9_000_000, second), 5000 + 24 * 1000);
    assert_eq!(age_to(5000, 1000, second), 1000);
    assert_eq!(age_to_at_start(5000, 9_000_000_000), 5000 + 24 * HOUR);
    // What went wrong once: a clock at the first millisecond of 1970 was taken for one that was never set.
    assert_eq!(age_to_at_start(age_to(5000, 0, second), 9_000_000_000), 1 + 24 * HOUR);
}
