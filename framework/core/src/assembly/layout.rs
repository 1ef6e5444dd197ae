//! How many copies each stage has, and who reads which split.

use std::sync::Arc;

use super::SplitPlan;
use crate::{
    BoxError,
    graph::{EdgePlan, Exchange, Grouping, Plan, SourcePlan, StageId},
    source::SourceContext,
};

/// How many copies each stage has, and which splits there are.
pub(super) struct Layout {
    pub(super) copies: Vec<u32>,
    pub(super) key_groups: Vec<u32>,
    /// The splits of all sources, those of one source together.
    pub(super) splits: Vec<SplitPlan>,
    /// Where the splits of a stage's source begin.
    pub(super) first_split: Vec<u32>,
    split_counts: Vec<u32>,
}

impl Layout {
    pub(super) fn of(plan: &Plan, parallelism: u32, cx: &SourceContext) -> Result<Self, BoxError> {
        let stages = plan.stages.len();
        let mut layout = Self {
            copies: vec![1; stages],
            key_groups: vec![1; stages],
            splits: Vec::new(),
            first_split: vec![0; stages],
            split_counts: vec![0; stages],
        };
        // Edges lead from earlier stages to later ones, so that one pass sees inputs first.
        for (id, stage) in plan.stages.iter().enumerate() {
            if let Some(source) = &stage.source {
                layout.add_source(id, source, cx)?;
                layout.copies[id] = layout.split_counts[id].clamp(1, parallelism);
            }
            let inputs = plan.edges.iter().filter(|edge| edge.to == id);
            for EdgePlan { from, exchange, .. } in inputs {
                let (copies, key_groups) = match exchange {
                    Exchange::Forward => (layout.copies[*from], layout.key_groups[*from]),
                    Exchange::ByKey => (parallelism, Plan::KEY_GROUPS),
                    Exchange::ByPartition(slots) => (parallelism.min(slots.partitions()), 1),
                    Exchange::Single => (1, 1),
                };
                layout.copies[id] = layout.copies[id].max(copies);
                layout.key_groups[id] = layout.key_groups[id].max(key_groups);
            }
            if stage.grouping == Grouping::Plain {
                layout.key_groups[id] = 1;
            }
        }
        Ok(layout)
    }

    fn add_source(
        &mut self,
        id: StageId,
        source: &SourcePlan,
        cx: &SourceContext,
    ) -> Result<(), BoxError> {
        let names = (source
            .splits
            .lock()
            .expect("a source's own code does not panic here"))()?;
        let subscription = (source
            .subscribes
            .lock()
            .expect("a source's own code does not panic here"))(cx);
        if source.topic_keys {
            let slots = subscription
                .as_ref()
                .filter(|topic| topic.keyed)
                .map(|topic| topic.slots);
            self.key_groups[id] = slots
                .ok_or("`.keyed(..)` stands only directly behind a topic: use `.key_by(..)`")?;
        }
        let others = self
            .splits
            .iter()
            .filter_map(|split| split.subscription.as_deref());
        if let Some(own) = &subscription
            && let mut same =
                others.filter(|other| (&other.topic, &other.group) == (&own.topic, &own.group))
            && same.next().is_some()
        {
            let (topic, group) = (&own.topic, &own.group);
            let what = format!("two sources read topic `{topic}` as group `{group}`");
            let advice = "read it once and `.fork()`, or give one of them another `.group(..)`";
            return Err(format!("{what}, and a group has one position: {advice}").into());
        }
        let subscription = subscription.map(Arc::new);
        self.first_split[id] = number(self.splits.len());
        self.split_counts[id] = number(names.len());
        for (split, name) in names.into_iter().enumerate() {
            let subscription = subscription.clone();
            self.splits.push(SplitPlan {
                name,
                number: number(split),
                subscription,
            });
        }
        Ok(())
    }

    /// The splits that a copy reads, by their number within the pipeline.
    pub(super) fn splits_of(&self, stage: StageId, copy: u32) -> Vec<u32> {
        let own = (0..self.split_counts[stage]).filter(|split| split % self.copies[stage] == copy);
        own.map(|split| self.first_split[stage] + split).collect()
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a pipeline has few splits")
}
