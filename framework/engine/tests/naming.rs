//! Whose code failed, and on which record, is said wherever that code stands.

use levada_core::{
    BoxError, Calls, Context, Dataflow as _, Emit, Fault, Open, Operator, Sink, SinkContext,
    SinkWriter, Stream, Timer, Timestamp, key::Key, record::Head,
};
use levada_engine::{Levada, Pipeline};

use crate::support::{Each, Kept, Numbers};

const TEN: Numbers = Numbers {
    splits: 1,
    count: 10,
};

/// What a pipeline says that reads ten numbers and ends as it is drawn.
fn says(draw: impl FnOnce(&Pipeline)) -> String {
    let levada = Levada::builder().arbiters(2).in_memory();
    let pipeline = levada.pipeline("p");
    draw(&pipeline);
    let error = pipeline.run().expect_err("it cannot run through");
    error.to_string()
}

fn no_seven(n: u64) -> u64 {
    assert!(n != 7, "no sevens");
    n
}

#[test]
fn a_panic_is_said_with_the_closure_that_it_came_from_and_its_record() {
    let kept = Kept::new;
    let plain = |n: &u64| Ok::<_, Fault>(_ = *n);
    let said = "failed on numbers/0@7: panicked: no sevens";
    let key_by = says(|p| {
        let numbers = p.source(TEN).apply("taste", Each(plain));
        numbers.key_by(|n| no_seven(*n)).sink(kept().sink());
    });
    assert_eq!(key_by, format!("pipeline `p` stopped: `key_by` {said}"));
    let calls = says(|p| {
        let numbers = p.source(TEN).apply("taste", Each(plain));
        let call = |n| {
            let n = no_seven(n);
            async move { n }
        };
        numbers
            .map_async("call", Calls::at_most(3), call)
            .sink(kept().sink());
    });
    assert_eq!(calls, format!("pipeline `p` stopped: `call` {said}"));
}

/// A sink that does not take sevens, or cannot be opened at all.
#[derive(Clone, Copy)]
enum Picky {
    Refuses,
    PanicsWhenOpened,
}

impl Sink<u64> for Picky {
    type Writer = Self;

    fn name(&self) -> String {
        "picky".to_owned()
    }

    fn open(&self, _: &SinkContext) -> Result<Self, BoxError> {
        assert!(matches!(self, Self::Refuses), "no such table");
        Ok(*self)
    }
}

impl SinkWriter<u64> for Picky {
    fn write(&mut self, value: u64, (): &(), _: &Head) -> Result<(), BoxError> {
        if value == 7 {
            return Err("no sevens".into());
        }
        Ok(())
    }
}

#[test]
fn a_record_that_a_sink_refuses_is_named() {
    let said = says(|p| p.source(TEN).sink(Picky::Refuses));
    assert_eq!(
        said,
        "pipeline `p` stopped: `picky` failed on numbers/0@7: no sevens"
    );
}

#[test]
fn a_panic_while_a_stage_opens_ends_the_pipeline() {
    let said = says(|p| p.source(TEN).sink(Picky::PanicsWhenOpened));
    let why = "`picky` cannot be opened: it panicked: no such table";
    assert_eq!(said, format!("pipeline `p` could not start: {why}"));
}

/// Sets a timer, and may have said that it does.
#[derive(Clone)]
struct Sleepy {
    declares: bool,
}

impl<K: Key> Operator<u64, K> for Sleepy {
    type Out = u64;

    fn open(&mut self, open: &mut Open<'_>) -> Result<(), BoxError> {
        if self.declares {
            open.timers();
        }
        Ok(())
    }

    fn record(
        &mut self,
        _: u64,
        cx: &mut Context<'_, K>,
        _: &mut impl Emit<u64>,
    ) -> Result<(), Fault> {
        cx.set_timer(Timer::event(Timestamp::from_millis(5)));
        Ok(())
    }

    fn timer(
        &mut self,
        timer: Timer,
        _: &mut Context<'_, K>,
        out: &mut impl Emit<u64>,
    ) -> Result<(), Fault> {
        out.emit(timer.at.as_millis().unsigned_abs());
        Ok(())
    }
}

#[test]
fn an_operator_that_sets_timers_has_said_so() {
    let sleepy = |p: &Pipeline, declares| -> Stream<u64> {
        let sleepy = Sleepy { declares };
        p.source(TEN).apply("sleepy", sleepy).boxed()
    };
    let said = says(|p| sleepy(p, false).sink(Kept::new().sink()));
    assert!(
        said.contains("`sleepy` failed on numbers/0@0") && said.contains("call `open.timers()`"),
        "{said}"
    );

    let (pipeline, fired) = (Pipeline::new("timers"), Kept::new());
    sleepy(&pipeline, true).sink(fired.sink());
    pipeline.run().unwrap();
    assert_eq!(fired.take(), [5]);
}
