//! Histories written by hand, call by call, for tests.

use super::{
    Call, Isolation, Keeps, Outcome, Place,
    anomaly::{Anomaly, Findings},
    checker::{Checker, Malformed, Promise},
    recorder::Recorder,
};

/// Two partitions that hand-made histories are about.
pub(super) const HERE: Place = Place {
    topic: 1,
    partition: 0,
};
pub(super) const THERE: Place = Place {
    topic: 1,
    partition: 1,
};

/// A history that is being written. Clients 1 to 9 send, others read.
pub(super) struct Written(Recorder<Vec<u8>>);

impl Written {
    pub(super) fn new() -> Self {
        Self(Recorder::new(Vec::new()))
    }

    pub(super) fn findings(self, promise: Promise) -> Result<Findings, Malformed> {
        Checker::judge(promise, &*self.0.into_inner())
    }

    pub(super) fn anomalies(self) -> Vec<Anomaly> {
        self.findings(Promise::Serializable).unwrap().anomalies
    }

    pub(super) fn invoked(&mut self, client: u32, call: Call) -> u64 {
        self.0.invoked(client, call).unwrap()
    }

    pub(super) fn completed(&mut self, operation: u64, outcome: Outcome) -> &mut Self {
        self.0.completed(operation, outcome).unwrap();
        self
    }

    pub(super) fn restarted(&mut self) -> &mut Self {
        self.0.restarted().unwrap();
        self
    }

    pub(super) fn declared(&mut self, place: Place, keeps: Keeps) -> &mut Self {
        self.0.declared(place, keeps).unwrap();
        self
    }

    pub(super) fn clock(&mut self, millis: u64) -> &mut Self {
        self.0.clock(millis).unwrap();
        self
    }

    pub(super) fn rotted(&mut self) -> &mut Self {
        self.0.rotted().unwrap();
        self
    }

    /// Client 10 has asked for the first offset, and was told where the place starts.
    pub(super) fn expired(&mut self, place: Place, start: u64) -> &mut Self {
        let poll = Call::Poll {
            place,
            transaction: None,
            from: 0,
            sought: true,
            isolation: Isolation::Committed,
        };
        let operation = self.invoked(10, poll);
        self.completed(operation, Outcome::Expired { start })
    }

    /// Client 1 is about to send `count` values.
    pub(super) fn sending(&mut self, place: Place, first: u64, count: u32) -> u64 {
        self.invoked(
            1,
            Call::Send {
                place,
                transaction: None,
                first,
                count,
            },
        )
    }

    /// Client 1 has sent `count` values, which lie from `base` on.
    pub(super) fn sent(&mut self, place: Place, first: u64, count: u32, base: u64) -> &mut Self {
        let operation = self.sending(place, first, count);
        self.completed(operation, Outcome::Sent { base })
    }

    /// A value was sent in a transaction, by a client of its own, and lies at `base`.
    pub(super) fn wrote(
        &mut self,
        transaction: u64,
        place: Place,
        value: u64,
        base: u64,
    ) -> &mut Self {
        let call = Call::Send {
            place,
            transaction: Some(transaction),
            first: value,
            count: 1,
        };
        let client = 1 + u32::try_from(transaction).unwrap();
        let operation = self.invoked(client, call);
        self.completed(operation, Outcome::Sent { base })
    }

    pub(super) fn committing(&mut self, transaction: u64) -> u64 {
        self.invoked(1, Call::Commit { transaction })
    }

    pub(super) fn committed(&mut self, transaction: u64) -> &mut Self {
        let operation = self.committing(transaction);
        self.completed(operation, Outcome::Done)
    }

    pub(super) fn aborted(&mut self, transaction: u64) -> &mut Self {
        let operation = self.invoked(1, Call::Abort { transaction });
        self.completed(operation, Outcome::Done)
    }

    /// A new reader has read these values, in a place that ends after the last of them.
    pub(super) fn read(&mut self, place: Place, records: &[(u64, u64)]) -> &mut Self {
        let end = records.last().map_or(0, |(offset, _)| offset + 1);
        self.polled(None, place, 0, records, end)
    }

    /// A transaction has read these values up to the end, going on where it was if it was there.
    pub(super) fn read_in(
        &mut self,
        transaction: u64,
        place: Place,
        records: &[(u64, u64)],
    ) -> &mut Self {
        let end = records.last().map_or(0, |(offset, _)| offset + 1);
        self.polled(Some(transaction), place, 0, records, end)
    }

    /// Client 10 has chosen to read from `from`, and got these values up to `end`.
    pub(super) fn polled(
        &mut self,
        transaction: Option<u64>,
        place: Place,
        from: u64,
        records: &[(u64, u64)],
        end: u64,
    ) -> &mut Self {
        let poll = Call::Poll {
            place,
            transaction,
            from,
            sought: true,
            isolation: Isolation::Committed,
        };
        self.answered(poll, records, end, end)
    }

    /// Client 10 has gone on at `from`, and got these values up to `end`.
    pub(super) fn went_on(
        &mut self,
        place: Place,
        from: u64,
        records: &[(u64, u64)],
        end: u64,
    ) -> &mut Self {
        let poll = Call::Poll {
            place,
            transaction: None,
            from,
            sought: false,
            isolation: Isolation::Committed,
        };
        self.answered(poll, records, end, end)
    }

    /// Client 10 has read these values from the start on, and is to go on at `next`, in a place
    /// that ends at `end`.
    pub(super) fn read_a_part(
        &mut self,
        place: Place,
        records: &[(u64, u64)],
        next: u64,
        end: u64,
    ) -> &mut Self {
        let poll = Call::Poll {
            place,
            transaction: None,
            from: 0,
            sought: true,
            isolation: Isolation::Committed,
        };
        self.answered(poll, records, next, end)
    }

    /// Client 10 has read these values, committed or not.
    pub(super) fn read_uncommitted(&mut self, place: Place, records: &[(u64, u64)]) -> &mut Self {
        let end = records.last().map_or(0, |(offset, _)| offset + 1);
        let poll = Call::Poll {
            place,
            transaction: None,
            from: 0,
            sought: true,
            isolation: Isolation::Uncommitted,
        };
        self.answered(poll, records, end, end)
    }

    fn answered(&mut self, poll: Call, records: &[(u64, u64)], next: u64, end: u64) -> &mut Self {
        let operation = self.invoked(10, poll);
        let records = records.to_vec();
        self.completed(operation, Outcome::Polled { next, end, records })
    }
}
