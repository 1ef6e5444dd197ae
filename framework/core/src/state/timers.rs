//! The timers that a row holds.

use std::mem;

use super::{Time, Timer};

/// The timers of one key. Nearly always none or one.
#[derive(Debug, Default)]
pub(crate) enum Timers {
    #[default]
    None,
    One(Timer),
    Many(Vec<Timer>),
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer) {
        *self = match mem::take(self) {
            Self::None => Self::One(timer),
            Self::One(held) if same(&held, timer.time, timer.tag) => Self::One(timer),
            Self::One(held) => Self::Many(vec![held, timer]),
            Self::Many(mut all) => {
                all.retain(|held| !same(held, timer.time, timer.tag));
                all.push(timer);
                Self::Many(all)
            }
        };
    }

    pub(crate) fn clear(&mut self, time: Time, tag: u32) {
        match self {
            Self::One(held) if same(held, time, tag) => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(all) => {
                all.retain(|held| !same(held, time, tag));
                if all.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    pub(crate) fn holds(&self, timer: Timer) -> bool {
        match self {
            Self::None => false,
            Self::One(held) => *held == timer,
            Self::Many(all) => all.contains(&timer),
        }
    }
}

fn same(held: &Timer, time: Time, tag: u32) -> bool {
    held.time == time && held.tag == tag
}
