//! Pipelines come to their end: by themselves, stopped, drained, aborted, or with an error.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use levada_core::{Clock as _, Dataflow as _, Fault, SystemClock, coordinator::Ending};
use levada_engine::{Ended, Error, Levada, Pipeline};

use crate::support::{Count, Each, Kept, Numbers};

fn on_arbiters(arbiters: usize) -> Levada {
    Levada::builder().arbiters(arbiters).in_memory()
}

#[test]
fn a_pipeline_ends_with_its_input_and_every_key_is_counted_once() {
    for (arbiters, splits) in [(1, 1), (2, 1), (2, 3)] {
        let kept = Kept::new();
        let pipeline = on_arbiters(arbiters).pipeline("counts");
        pipeline
            .source(Numbers {
                splits,
                count: 30_000,
            })
            .key_by(|n| n % 1_000)
            .apply("count", Count::new())
            .sink(kept.sink());
        pipeline.run().unwrap();

        let mut counts = HashMap::new();
        for (key, n) in kept.take() {
            // In order per key, each count exactly once.
            assert_eq!(counts.insert(key, n).unwrap_or(0), n - 1);
        }
        assert_eq!(counts.len(), 1_000);
        assert!(counts.values().all(|n| *n == 30 * splits));
    }
}

#[test]
fn a_pipeline_runs_inside_somebody_elses_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kept = Kept::new();
    runtime.block_on(async {
        let pipeline = Pipeline::new("guest");
        pipeline
            .source(Numbers {
                splits: 1,
                count: 100,
            })
            .sink(kept.sink());
        pipeline.start().unwrap().ended().await.unwrap();
    });
    assert_eq!(kept.take(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_drained_pipeline_finishes_what_its_sources_have_read() {
    let kept = Kept::new();
    let pipeline = on_arbiters(2).pipeline("endless");
    pipeline
        .source(Numbers {
            splits: 1,
            count: u64::MAX,
        })
        .sink(kept.sink());
    let running = pipeline.start().unwrap();
    while kept.len() < 10_000 {
        std::thread::yield_now();
    }
    running.drain().unwrap();
    let all = kept.take();
    assert_eq!(all, (0..all.len() as u64).collect::<Vec<_>>());
}

/// A pipeline that never ends by itself.
fn endless(levada: &Levada) -> Pipeline {
    let pipeline = levada.pipeline("endless");
    let numbers = Numbers {
        splits: 1,
        count: u64::MAX,
    };
    pipeline.source(numbers).sink(Kept::new().sink());
    pipeline
}

#[test]
fn the_result_says_what_a_pipeline_was_told_first() {
    let levada = on_arbiters(1);
    let running = endless(&levada).start().unwrap();
    running.tell(Ending::Stop);
    assert_eq!(running.drain().unwrap(), Ended::Stopped);
    let running = endless(&levada).start().unwrap();
    running.tell(Ending::Drain);
    assert_eq!(running.stop().unwrap(), Ended::Finished);
    let running = endless(&levada).start().unwrap();
    running.tell(Ending::Stop);
    assert_eq!(levada.wait([running]).unwrap(), Ended::Stopped);
}

#[test]
fn a_pipeline_runs_on_when_nobody_holds_it_or_what_it_runs_on() {
    const COUNT: u64 = 300_000;
    let kept = Kept::new();
    let levada = on_arbiters(2);
    let pipeline = levada.pipeline("alone");
    let numbers = Numbers {
        splits: 1,
        count: COUNT,
    };
    pipeline.source(numbers).sink(kept.sink());
    drop(levada);
    drop(pipeline.start().unwrap());
    let waiting = SystemClock::new();
    while (kept.len() as u64) < COUNT {
        assert!(
            waiting.elapsed() < Duration::from_secs(20),
            "it was stopped"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_stopped_pipeline_ends_in_order_and_an_aborted_one_at_once() {
    for abort in [false, true] {
        let kept = Kept::new();
        let pipeline = on_arbiters(2).pipeline("endless");
        pipeline
            .source(Numbers {
                splits: 2,
                count: u64::MAX,
            })
            .sink(kept.sink());
        let running = pipeline.start().unwrap();
        while kept.len() < 10_000 {
            std::thread::yield_now();
        }
        if abort {
            running.abort();
        } else {
            running.stop().unwrap();
        }
    }
}

#[test]
fn a_fault_stops_the_pipeline_and_names_operator_and_record() {
    let pipeline = on_arbiters(2).pipeline("strict");
    let refuse = |n: &u64| {
        if *n == 4_321 {
            Err(Fault::from("too odd"))
        } else {
            Ok(())
        }
    };
    pipeline
        .source(Numbers {
            splits: 1,
            count: 10_000,
        })
        .apply("taste", Each(refuse))
        .sink(Kept::new().sink());
    let error = pipeline.run().unwrap_err();
    let said = "pipeline `strict` stopped: `taste` failed on numbers/0@4321: too odd";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_panic_stops_the_pipeline_and_names_operator_and_record() {
    let pipeline = on_arbiters(2).pipeline("fragile");
    let fragile = |n: &u64| {
        assert!(*n != 777, "seven sevens");
        Ok(())
    };
    pipeline
        .source(Numbers {
            splits: 1,
            count: 10_000,
        })
        .key_by(|n| n % 10)
        .apply("glass", Each(fragile))
        .sink(Kept::new().sink());
    let error = pipeline.run().unwrap_err();
    let said =
        "pipeline `fragile` stopped: `glass` failed on numbers/0@777: panicked: seven sevens";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_dangling_stream_is_named_before_anything_runs() {
    let pipeline = Pipeline::new("loose");
    drop(
        pipeline
            .source(Numbers {
                splits: 1,
                count: 1,
            })
            .apply("lonely", Count::new()),
    );
    let Err(Error::Build(error)) = pipeline.run() else {
        panic!("it was built")
    };
    assert_eq!(error.problems.len(), 2);
    assert!(
        error
            .to_string()
            .contains("the stream after `lonely` reaches no sink"),
        "{error}"
    );
    assert!(error.to_string().contains("`.key_by(..)` first"), "{error}");
}

/// Ready when it was asked so often, and has itself asked again each time.
fn turns(mut left: u64) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

#[test]
fn async_calls_keep_the_order_of_each_key_and_overlap_across_keys() {
    let kept = Kept::new();
    let pipeline = on_arbiters(2).pipeline("calls");
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let of_calls = (Arc::clone(&running), Arc::clone(&most));
    pipeline
        .source(Numbers {
            splits: 1,
            count: 2_000,
        })
        .key_by(|n| n % 50)
        .map_async("wait", levada_core::Calls::at_most(16), move |n| {
            let (running, most) = of_calls.clone();
            async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                turns(n * 7 % 30).await;
                running.fetch_sub(1, Ordering::SeqCst);
                n
            }
        })
        .sink(kept.sink());
    pipeline.run().unwrap();
    // Sixteen in each of two copies; one in each would be two.
    let most = most.load(Ordering::SeqCst);
    assert!((3..=32).contains(&most), "{most} calls at once");
    let mut last = HashMap::new();
    let all = kept.take();
    assert_eq!(all.len(), 2_000);
    for n in all {
        assert!(last.insert(n % 50, n).is_none_or(|before| before < n));
    }
}
