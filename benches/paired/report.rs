//! The table of a workload, and the verdict on its bars.

use std::{fmt, thread};

use super::{Bar, Figure, Sums, Workload, program::Scale};

/// What the runs of a program have shown, by round.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    pub(super) figures: Vec<Figure>,
}

impl Row {
    fn median(&self, of: impl Fn(&Figure) -> f64) -> f64 {
        median(self.figures.iter().map(of).collect())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = || self.figures.iter().map(|it| it.rate() / 1e6);
        let (median, label) = (median(rates().collect()), self.label);
        let (lowest, highest) = (
            rates().fold(f64::MAX, f64::min),
            rates().fold(0.0, f64::max),
        );
        write!(f, "| {label} | {median:.2} | {lowest:.2} to {highest:.2} ")?;
        let cpu = self.median(|it| it.cpu_seconds);
        let nanos = self.median(Figure::cpu_nanos);
        let peak = self.median(|it| it.peak_mb - it.before_mb);
        let check = self.figures[0].check;
        writeln!(f, "| {cpu:.1} | {nanos:.1} | {peak:.0} | {check} |")
    }
}

/// What came of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Missed,
    Reached,
    /// Reached, and what we are out for as well.
    Aim,
}

impl Verdict {
    fn of(ratio: f64, bar: &Bar) -> Self {
        if ratio < bar.must {
            Self::Missed
        } else if ratio < bar.aim {
            Self::Reached
        } else {
            Self::Aim
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missed => "MISSED",
            Self::Reached => "reached",
            Self::Aim => "reached, and the aim",
        })
    }
}

/// All runs of a workload, ours first.
#[derive(Debug)]
pub(super) struct Report {
    rows: Vec<Row>,
    bars: &'static [Bar],
    /// Why there can be no verdict, or none that counts.
    faults: Vec<String>,
}

impl Report {
    pub(super) fn new(workload: &Workload, scale: Scale, rows: Vec<Row>) -> Self {
        let mut faults = different_sums(workload.sums, &rows);
        if scale.is_check() {
            faults.extend(other_machine());
        }
        Self {
            rows,
            bars: if scale.is_check() { workload.bars } else { &[] },
            faults,
        }
    }

    /// True if nothing is wrong with the runs and no bar was missed.
    pub(super) fn holds(&self) -> bool {
        let missed = |bar| Verdict::of(self.ratio(bar), bar) == Verdict::Missed;
        self.faults.is_empty() && !self.bars.iter().any(missed)
    }

    /// Our rate over that of the fastest of some peers, by round, and of those the median.
    fn ratio(&self, bar: &Bar) -> f64 {
        let (ours, peers) = self.rows.split_first().expect("our row is the first");
        let of_round = |(round, figure): (usize, &Figure)| {
            let peers = peers.iter().filter(|row| bar.against.contains(&row.label));
            let fastest = peers
                .map(|row| row.figures[round].rate())
                .fold(f64::MIN, f64::max);
            figure.rate() / fastest
        };
        median(ours.figures.iter().enumerate().map(of_round).collect())
    }
}

/// A program with another result has done other work.
fn different_sums(sums: Sums, rows: &[Row]) -> Vec<String> {
    let truth = rows[0].figures[0].check;
    let runs = rows
        .iter()
        .flat_map(|row| row.figures.iter().map(|it| (row.label, it.check)));
    let different = runs.filter(|(_, check)| !sums.agree(truth, *check));
    let says = |(label, check)| format!("{label} has the check sum {check}, and not {truth}");
    let mut complaints: Vec<_> = different.map(says).collect();
    complaints.dedup();
    complaints
}

/// Our pipelines take all cores they find, and the peers two.
fn other_machine() -> Option<String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let says = "the workloads are for two cores";
    (cores != 2).then(|| format!("{says}, here are {cores}: run under `taskset --cpu-list 0,1`"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = &self.rows[0].figures;
        writeln!(f, "{} events, {} rounds\n", runs[0].events, runs.len())?;
        writeln!(
            f,
            "| | M events/s | range | CPU s | ns CPU/event | peak MB | check sum |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        for row in &self.rows {
            row.fmt(f)?;
        }
        writeln!(f)?;
        for bar in self.bars {
            let ratio = self.ratio(bar);
            let (against, Bar { must, aim, .. }) = (bar.against.join(" and "), bar);
            let verdict = Verdict::of(ratio, bar);
            writeln!(
                f,
                "{ratio:.2} × {against} (must {must:.1}, aim {aim:.1}): {verdict}"
            )?;
        }
        for fault in &self.faults {
            writeln!(f, "no verdict: {fault}")?;
        }
        Ok(())
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paired::Peer;

    const BAR: Bar = Bar {
        against: &["fast", "slow"],
        must: 1.0,
        aim: 1.5,
    };

    const WORKLOAD: Workload = Workload {
        name: "none",
        prepare: || (),
        run: Ok,
        truth: |events| events,
        sums: Sums::Within {
            truth: 0.0,
            peers: 0.01,
        },
        peers: &[Peer::new("fast", "", &[]), Peer::new("slow", "", &[])],
        bars: &[BAR],
    };

    const SCALE: Scale = Scale {
        seconds: 10,
        rounds: 5,
        pilot: 1,
    };

    /// A row whose runs of 1,000 events took so long.
    fn row(label: &'static str, check: u64, seconds: [f64; 5]) -> Row {
        let figure = |seconds| Figure {
            allocator: String::new(),
            events: 1_000,
            seconds,
            cpu_seconds: 0.0,
            before_mb: 0.0,
            peak_mb: 0.0,
            check,
        };
        Row {
            label,
            figures: seconds.map(figure).into(),
        }
    }

    fn report(ours: [f64; 5], check: u64) -> Report {
        let fast = row("fast", 1_000, [20.0, 20.0, 20.0, 20.0, 100.0]);
        let slow = row("slow", 1_000, [50.0; 5]);
        Report::new(
            &WORKLOAD,
            SCALE,
            vec![row("levada", check, ours), fast, slow],
        )
    }

    #[test]
    fn a_bar_compares_with_the_fastest_of_its_peers_in_the_same_round() {
        let report = report([10.0, 10.0, 20.0, 40.0, 100.0], 1_000);
        // By round: 2, 2, 1, 0.5, and 0.5 against the slow one, which was faster there.
        assert!((report.ratio(&BAR) - 1.0).abs() < 1e-9);
        assert!(
            report
                .to_string()
                .contains("1.00 × fast and slow (must 1.0, aim 1.5): reached\n")
        );
    }

    #[test]
    fn a_missed_bar_fails_and_the_aim_is_told_apart() {
        assert_eq!(Verdict::of(0.99, &BAR), Verdict::Missed);
        assert_eq!(Verdict::of(1.49, &BAR), Verdict::Reached);
        assert_eq!(Verdict::of(1.5, &BAR), Verdict::Aim);
        assert!(!report([21.0; 5], 1_000).holds());
    }

    #[test]
    fn another_result_is_no_verdict_within_what_the_workload_allows() {
        assert!(
            report([10.0; 5], 1_009)
                .faults
                .iter()
                .all(|it| !it.contains("check sum"))
        );
        let different = report([10.0; 5], 1_011);
        assert!(
            different
                .to_string()
                .contains("no verdict: fast has the check sum 1000")
        );
        assert!(!different.holds());
    }
}
