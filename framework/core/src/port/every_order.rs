//! Edges under every order in which two threads can take their steps.
//!
//! ```text
//! cargo test --release -p levada-core --features loom --lib every_order
//! ```

use std::{future::poll_fn, task::Poll};

use loom::{future::block_on, model, thread};

use super::{Message, edge};

#[test]
fn a_sender_that_waits_for_room_is_woken_by_the_credit_that_makes_it() {
    model(|| {
        let (sender, receiver) = edge(100, 1);
        sender.send_chunk(Box::new(()), 100);
        let handling = thread::spawn(move || {
            drop(receiver.take());
            receiver
        });
        block_on(poll_fn(|cx| {
            sender.register(cx.waker());
            if sender.available() > 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let receiver = handling.join().unwrap();
        assert_eq!((sender.available(), receiver.in_flight()), (100, 0));
    });
}

#[test]
fn a_receiver_that_waits_is_woken_by_what_arrives() {
    model(|| {
        let (sender, receiver) = edge(100, 1);
        let sending = thread::spawn(move || {
            sender.send_chunk(Box::new(()), 60);
            sender.send(Message::End);
            sender
        });
        let mut seen = Vec::new();
        block_on(poll_fn(|cx| {
            receiver.register(cx);
            while let Some((message, _)) = receiver.take() {
                seen.push(format!("{message:?}"));
            }
            if seen.len() == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        assert_eq!(seen, ["Chunk", "End"]);
        let sender = sending.join().unwrap();
        assert_eq!((sender.available(), receiver.in_flight()), (100, 0));
    });
}
