//! Trying out what would become of messages: a pipeline under the rules in force that has seen nothing, asked of the ingest
//! thread, which alone knows them.

use model::DeadLetter;
use model::DeviceIndex;
use model::dead_letter::Entry;
use model::{BatchPool, BatchView, Control, GroupFlags, GroupKey, Replay, Replayed, limits};
use pipeline::{Output, Pipeline};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for the ingest thread; more wait in their own connections.
const REQUESTS_WAITING_MAX: usize = 16;

/// Asks for pipelines; cheap to clone.
#[derive(Clone)]
pub struct Trials(mpsc::Sender<oneshot::Sender<Pipeline>>);

/// The ingest thread's end.
pub struct TrialRequests(mpsc::Receiver<oneshot::Sender<Pipeline>>);

/// The two ends.
pub fn trials() -> (Trials, TrialRequests) {
    let (sender, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
    (Trials(sender), TrialRequests(receiver))
}

impl Trials {
    /// A pipeline under the rules that hold for what is derived next; `None` if nothing is derived any more.
    pub async fn pipeline(&self) -> Option<Pipeline> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        answered.await.ok()
    }
}

impl TrialRequests {
    /// Answers whoever waits.
    pub fn answer(&mut self, pipeline: &Pipeline) {
        while let Ok(answer) = self.0.try_recv() {
            // Whoever does not wait any more needs none.
            drop(answer.send(pipeline.without_state()));
        }
    }
}

/// What would become of these letters, in their order, if they were replayed now. `bindings` say what the indices stand for.
pub fn try_out(
    mut pipeline: Pipeline,
    bindings: &[Control],
    letters: &[(DeviceIndex, &DeadLetter)],
    received: model::Millis,
) -> Vec<Replayed> {
    let pool = BatchPool::default();
    let mut output = Output::default();
    let mut outcomes = Vec::with_capacity(letters.len());
    let mut batch = pool.builder();
    bindings.iter().for_each(|binding| batch.control(binding));
    let mut payload = Vec::new();
    let mut process = |batch: model::BatchBuilder| {
        let batch = batch.seal(received);
        let view = BatchView::parse(batch.body()).expect("a batch that our own builder closed");
        pipeline.process(pipeline.position(), view, &mut output);
        outcomes.extend(output.dead.drain(..).filter_map(|entry| match entry {
            Entry::Replayed(replayed) => Some(replayed),
            Entry::Letter(_) => None,
        }));
    };
    for (device, letter) in letters {
        payload.clear();
        Replay { origin: letter.address }.encode(&mut payload);
        payload.extend_from_slice(&letter.payload);
        if !batch.has_room(payload.len()) || batch.bytes() > limits::BATCH_BYTES_MAX {
            process(std::mem::replace(&mut batch, pool.builder()));
        }
        let (kind, format, flags) = (letter.kind, letter.format, GroupFlags::REPLAYED);
        batch.push(GroupKey { device: *device, kind, format, flags }, &payload);
    }
    process(batch);
    outcomes
}
