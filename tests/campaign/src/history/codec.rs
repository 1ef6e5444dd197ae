//! An event as bytes: a tag, then its numbers, seven bits a byte.

use super::{Call, Event, Isolation, Keeps, Outcome, Place};

const RESTARTED: u64 = 0;
const SEND: u64 = 1;
const POLL: u64 = 2;
const COMMIT: u64 = 3;
const ABORT: u64 = 4;
const SENT: u64 = 5;
const POLLED: u64 = 6;
const DONE: u64 = 7;
const FAILED: u64 = 8;
const UNKNOWN: u64 = 9;
const DECLARED: u64 = 10;
const CLOCK: u64 = 11;
const ROTTED: u64 = 12;
const OPEN: u64 = 13;
const EXPIRED: u64 = 14;
const DAMAGED: u64 = 15;

/// Appends the bytes of an event.
pub(super) fn encode(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Restarted => put(out, &[RESTARTED]),
        Event::Rotted => put(out, &[ROTTED]),
        Event::Clock { millis } => put(out, &[CLOCK, *millis]),
        Event::Declared { place, keeps } => {
            put(out, &[DECLARED]);
            put_place(out, *place);
            put(out, &numbers_of(*keeps));
        }
        Event::Invoked {
            operation,
            client,
            call,
        } => {
            let asked = [*operation, u64::from(*client)];
            match call {
                Call::Send {
                    place,
                    transaction,
                    first,
                    count,
                } => {
                    put(out, &[SEND]);
                    put(out, &asked);
                    put_place(out, *place);
                    put(out, &[optional(*transaction), *first, u64::from(*count)]);
                }
                Call::Poll {
                    place,
                    transaction,
                    from,
                    sought,
                    isolation,
                } => {
                    put(out, &[POLL]);
                    put(out, &asked);
                    put_place(out, *place);
                    let flags =
                        u64::from(*sought) | (u64::from(*isolation == Isolation::Committed) << 1);
                    put(out, &[optional(*transaction), *from, flags]);
                }
                Call::Commit { transaction } => {
                    put(out, &[COMMIT, asked[0], asked[1], *transaction]);
                }
                Call::Abort { transaction } => {
                    put(out, &[ABORT, asked[0], asked[1], *transaction]);
                }
                Call::Open => put(out, &[OPEN, asked[0], asked[1]]),
            }
        }
        Event::Completed { operation, outcome } => match outcome {
            Outcome::Sent { base } => put(out, &[SENT, *operation, *base]),
            Outcome::Polled { next, end, records } => {
                put(out, &[POLLED, *operation, *next, *end]);
                put(out, &[records.len() as u64]);
                // Neighbours differ by little, in whatever direction a broken log has them.
                let (mut offset, mut value) = (0, 0);
                for &(o, v) in records {
                    put(out, &[delta(offset, o), delta(value, v)]);
                    (offset, value) = (o, v);
                }
            }
            Outcome::Expired { start } => put(out, &[EXPIRED, *operation, *start]),
            Outcome::Done => put(out, &[DONE, *operation]),
            Outcome::Damaged => put(out, &[DAMAGED, *operation]),
            Outcome::Failed => put(out, &[FAILED, *operation]),
            Outcome::Unknown => put(out, &[UNKNOWN, *operation]),
        },
    }
}

/// The event of these bytes; `None` if they are of none.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Event> {
    let event = take_event(&mut bytes)?;
    bytes.is_empty().then_some(event)
}

fn take_event(bytes: &mut &[u8]) -> Option<Event> {
    let tag = take(bytes)?;
    match tag {
        RESTARTED => return Some(Event::Restarted),
        ROTTED => return Some(Event::Rotted),
        CLOCK => {
            let millis = take(bytes)?;
            return Some(Event::Clock { millis });
        }
        DECLARED => {
            return Some(Event::Declared {
                place: take_place(bytes)?,
                keeps: take_keeps(bytes)?,
            });
        }
        _ => {}
    }
    let operation = take(bytes)?;
    if let SEND..=ABORT | OPEN = tag {
        return Some(Event::Invoked {
            operation,
            client: small(take(bytes)?)?,
            call: take_call(tag, bytes)?,
        });
    }
    let outcome = match tag {
        SENT => Outcome::Sent { base: take(bytes)? },
        POLLED => {
            let (next, end, count) = (take(bytes)?, take(bytes)?, take(bytes)?);
            let (mut offset, mut value) = (0, 0);
            let records = (0..count).map(|_| {
                offset = moved(offset, take(bytes)?);
                value = moved(value, take(bytes)?);
                Some((offset, value))
            });
            let records = records.collect::<Option<_>>()?;
            Outcome::Polled { next, end, records }
        }
        EXPIRED => Outcome::Expired {
            start: take(bytes)?,
        },
        DONE => Outcome::Done,
        DAMAGED => Outcome::Damaged,
        FAILED => Outcome::Failed,
        UNKNOWN => Outcome::Unknown,
        _ => return None,
    };
    Some(Event::Completed { operation, outcome })
}

fn take_call(tag: u64, bytes: &mut &[u8]) -> Option<Call> {
    if tag == OPEN {
        return Some(Call::Open);
    }
    if let COMMIT | ABORT = tag {
        let transaction = take(bytes)?;
        return Some(match tag {
            COMMIT => Call::Commit { transaction },
            _ => Call::Abort { transaction },
        });
    }
    let place = take_place(bytes)?;
    let transaction = take(bytes)?.checked_sub(1);
    let (first, second) = (take(bytes)?, take(bytes)?);
    Some(match tag {
        SEND => Call::Send {
            place,
            transaction,
            first,
            count: small(second)?,
        },
        _ => Call::Poll {
            place,
            transaction,
            from: first,
            sought: second & 1 != 0,
            isolation: if second & 2 == 0 {
                Isolation::Uncommitted
            } else {
                Isolation::Committed
            },
        },
    })
}

fn put_place(out: &mut Vec<u8>, place: Place) {
    put(out, &[u64::from(place.topic), u64::from(place.partition)]);
}

fn take_place(bytes: &mut &[u8]) -> Option<Place> {
    Some(Place {
        topic: small(take(bytes)?)?,
        partition: small(take(bytes)?)?,
    })
}

/// What a place keeps: which of the kinds, and for how long.
fn numbers_of(keeps: Keeps) -> [u64; 2] {
    match keeps {
        Keeps::Everything => [0, 0],
        Keeps::UntilRestarted => [1, 0],
        Keeps::Younger { millis } => [2, millis],
        Keeps::LastOfKey { millis } => [3, millis],
    }
}

fn take_keeps(bytes: &mut &[u8]) -> Option<Keeps> {
    let (kind, millis) = (take(bytes)?, take(bytes)?);
    let all = [
        Keeps::Everything,
        Keeps::UntilRestarted,
        Keeps::Younger { millis },
        Keeps::LastOfKey { millis },
    ];
    all.into_iter()
        .find(|keeps| numbers_of(*keeps) == [kind, millis])
}

fn put(out: &mut Vec<u8>, numbers: &[u64]) {
    for &number in numbers {
        let mut left = number;
        while left >= 0x80 {
            out.push(low_bits(left) | 0x80);
            left >>= 7;
        }
        out.push(low_bits(left));
    }
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).expect("seven bits are a byte")
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

/// Zero for none, so transactions are below `u64::MAX`.
fn optional(number: Option<u64>) -> u64 {
    number.map_or(0, |number| number + 1)
}

/// How far it is from one number to another, small numbers for small steps either way.
fn delta(from: u64, to: u64) -> u64 {
    let step = to.wrapping_sub(from).cast_signed();
    ((step << 1) ^ (step >> 63)).cast_unsigned()
}

fn moved(from: u64, delta: u64) -> u64 {
    let step = (delta >> 1) ^ (delta & 1).wrapping_neg();
    from.wrapping_add(step)
}
