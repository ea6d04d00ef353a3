//! The pipeline of one partition.

use model::wire::Short;
use model::{BatchView, Control, DeviceIndex, Offset, Partition, Source, limits};

use crate::output::{Defect, Output};
use crate::plan::Plan;

/// Plan and state of one partition: who each index is, what columns each table has, which messages were seen.
#[derive(Debug)]
pub struct Pipeline {
    partition: Partition,
    position: Offset,
    plan: Plan,
}

/// A snapshot that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the bytes are not a pipeline snapshot")]
    NotASnapshot,
    #[error("the snapshot has format {found}; this version reads {known}")]
    Version { found: u16, known: u16 },
    #[error("the snapshot's checksum does not match its bytes")]
    Checksum,
    #[error("the snapshot's parts contradict each other")]
    Inconsistent,
}

impl From<Short> for RestoreError {
    fn from(_: Short) -> Self {
        Self::Inconsistent
    }
}

impl RestoreError {
    pub fn kind(&self) -> model::ErrorKind {
        match self {
            Self::Version { .. } => model::ErrorKind::Conflict,
            _ => model::ErrorKind::Corrupt,
        }
    }
}

impl Pipeline {
    /// An empty state at offset 0.
    pub fn new(partition: Partition, plan: Plan) -> Self {
        Self { partition, position: 0, plan }
    }

    /// The state that [`Pipeline::snapshot`] wrote.
    pub fn restore(_bytes: &[u8]) -> Result<Self, RestoreError> {
        Err(RestoreError::NotASnapshot)
    }

    /// Appends the whole state, so that processing from it gives the same outputs as going on.
    pub fn snapshot(&self, _out: &mut Vec<u8>) {}

    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// The next offset to process.
    pub fn position(&self) -> Offset {
        self.position
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every binding, for whoever rebuilds the device table after a restore.
    pub fn bindings(&self) -> impl Iterator<Item = (DeviceIndex, Source)> + '_ {
        std::iter::empty()
    }

    /// Derives one batch of `raw` whose first payload has offset `base`. A message that makes the pipeline panic is
    /// isolated: it becomes a dead letter (`poison`), a [`Defect`] is reported, and the batch goes on behind it.
    pub fn process(&mut self, base: Offset, batch: BatchView<'_>, output: &mut Output) {
        output.begin();
        self.take_controls(&batch, output);
        self.position = base;
    }

    fn take_controls(&mut self, batch: &BatchView<'_>, output: &mut Output) {
        for control in batch.controls() {
            match control {
                Ok(Control::Bind { index, source }) if index.0 < limits::DEVICE_INDICES_MAX => {
                    output.bindings.push((index, source));
                }
                Ok(Control::Bind { index, .. }) => output.defects.push(Defect::IndexOutOfRange { index }),
                Ok(Control::Plan { version, body }) => match Plan::decode(version, &body) {
                    Ok(plan) => self.plan = plan,
                    Err(Short) => output.defects.push(Defect::UnreadablePlan { version }),
                },
                Ok(other) => output.controls.push(other),
                Err(Short) => output.defects.push(Defect::UnreadableControl),
            }
        }
    }
}
