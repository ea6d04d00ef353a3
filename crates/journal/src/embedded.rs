//! The log on the disk. In this first step it only keeps the contract, in memory.

use std::ops::Deref;
use std::sync::Arc;

use model::{Clock, Disk, Partition};

use crate::memory::MemoryLog;
use crate::recovery::LogRecovery;
use crate::{Error, JournalConfig, Topic};

pub(crate) struct EmbeddedLog(MemoryLog);

impl EmbeddedLog {
    pub(crate) fn open(
        config: &JournalConfig,
        _disk: Arc<dyn Disk>,
        _clock: Clock,
        topic: Topic,
        partition: Partition,
    ) -> Result<(Self, LogRecovery), Error> {
        Ok((Self(MemoryLog::new(config)), LogRecovery::nothing(topic, partition)))
    }
}

impl Deref for EmbeddedLog {
    type Target = MemoryLog;
    fn deref(&self) -> &MemoryLog {
        &self.0
    }
}
