use journal::{Journal, JournalConfig, Topic};
use model::{Clock, Partition, RowFlags, Table, TableKind, TableLayout, TenantId};

use super::*;

fn topic() -> Arc<NormalizedTopic> {
    let journal = Journal::memory(JournalConfig::new(""), Clock::manual(0));
    Arc::new(NormalizedTopic::new(journal.log(Topic::Normalized, Partition(0)).expect("opens")))
}

fn rows(offset: Offset) -> Rows {
    let table = Table { tenant: TenantId::from_bytes([1; 16]), class: "pump".into(), kind: TableKind::Readings };
    let mut rows = Rows::new(Arc::new(TableLayout { table, columns: Vec::new() }), 0);
    rows.offset = vec![offset];
    rows.index = vec![0];
    rows.device = vec![DeviceIndex(0)];
    rows.ts = vec![0];
    rows.seq = vec![0];
    rows.boot = vec![0];
    rows.flags = vec![RowFlags::default()];
    rows
}

fn writer(topic: &Arc<NormalizedTopic>) -> NormalizedWriter {
    let mut writer = NormalizedWriter::new(topic.clone());
    let (tenant, device) = (TenantId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
    writer.bind(DeviceIndex(0), &Source::Device { tenant, device, class: "pump".into() });
    writer
}

#[tokio::test]
async fn it_is_written_only_while_somebody_follows() {
    let topic = topic();
    let mut writer = writer(&topic);
    writer.append(&[rows(1)]);
    assert_eq!(topic.log().end(), 0);
    let mut cursor = topic.register();
    writer.append(&[rows(2)]);
    let tables = cursor.next().await.expect("a batch is there");
    assert_eq!(tables.iter().flat_map(|table| &table.rows).map(|row| row.offset).collect::<Vec<_>>(), [2]);
    drop(cursor);
    writer.append(&[rows(3)]);
    assert_eq!(topic.log().end(), 1);
}

#[tokio::test]
async fn a_waiting_cursor_is_woken_by_data_and_by_the_end() {
    let topic = topic();
    let mut writer = writer(&topic);
    let mut cursor = topic.register();
    let waiting = tokio::spawn(async move {
        let first = cursor.next().await.map(|tables| tables.len());
        (first, cursor.next().await.map(|tables| tables.len()))
    });
    tokio::task::yield_now().await;
    writer.append(&[rows(1)]);
    tokio::task::yield_now().await;
    topic.close();
    let (first, second) = waiting.await.expect("it does not panic");
    assert!(matches!(first, Ok(1)));
    assert!(matches!(second, Err(CursorError::Closed)));
}
