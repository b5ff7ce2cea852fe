//! Sequence numbers missing on one track because they were used on another.
//!
//! Quirk: sound and video share one sequence of numbers. A number seen on the other track is not
//! lost, unless both tracks have used the same number: then each has its own sequence (RFC 3550
//! §5.1).

use std::fmt;

/// The sequence numbers of the newest packets of the session's other tracks.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    state: State,
    /// A number missing here was used there.
    explained: bool,
}

#[derive(Debug, Default)]
enum State {
    /// No other track sends.
    #[default]
    Alone,
    /// No number was used on both so far.
    Together(Box<Numbers>),
    Apart,
}

impl Elsewhere {
    pub fn note(&mut self, number: u16) {
        match &mut self.state {
            State::Alone => self.state = State::Together(Box::new(Numbers::from(number))),
            State::Together(numbers) => numbers.insert(number),
            State::Apart => {}
        }
    }

    /// Reports that a packet with this number arrived on this track.
    pub fn came_here(&mut self, number: u16) {
        if let State::Together(numbers) = &self.state
            && numbers.contains(number)
        {
            self.give_up();
        }
    }

    /// The tracks have separate sequences.
    pub fn give_up(&mut self) {
        *self = Elsewhere { state: State::Apart, explained: false };
    }

    /// The numbering has restarted.
    pub fn forget(&mut self) {
        *self = Elsewhere::default();
    }

    /// Counts the numbers from `next` up to `end` that were seen nowhere.
    pub fn missing(&self, next: u32, end: u32) -> u32 {
        let gap = end.wrapping_sub(next);
        match &self.state {
            State::Together(numbers) => {
                let came =
                    |step: &u32| numbers.contains((next.wrapping_add(*step) & 0xffff) as u16);
                gap - (0..gap).filter(came).count() as u32
            }
            State::Alone | State::Apart => gap,
        }
    }

    pub fn explain(&mut self, numbers: u32) {
        self.explained |= numbers > 0;
    }

    pub fn explained(&self) -> bool {
        self.explained
    }
}

/// The newest number, and a bit for each number before it, indexed by the number's lowest bits.
struct Numbers {
    newest: u16,
    came: [u64; WORDS],
}

impl Numbers {
    fn from(number: u16) -> Numbers {
        let mut numbers = Numbers { newest: number, came: [0; WORDS] };
        numbers.put(number, true);
        numbers
    }

    fn insert(&mut self, number: u16) {
        let step = number.wrapping_sub(self.newest).cast_signed();
        if step.unsigned_abs() >= SPAN {
            *self = Numbers::from(number);
            return;
        }
        for _ in 0..step {
            self.newest = self.newest.wrapping_add(1);
            self.put(self.newest, false);
        }
        self.put(number, true);
    }

    fn contains(&self, number: u16) -> bool {
        let (word, bit) = place(number);
        let is_recent = self.newest.wrapping_sub(number) < SPAN;
        is_recent && self.came.get(word).is_some_and(|bits| bits >> bit & 1 == 1)
    }

    fn put(&mut self, number: u16, came: bool) {
        let (word, bit) = place(number);
        if let Some(bits) = self.came.get_mut(word) {
            *bits = *bits & !(1 << bit) | u64::from(came) << bit;
        }
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "up to {}", self.newest)
    }
}

fn place(number: u16) -> (usize, u16) {
    (usize::from(number % SPAN / 64), number % 64)
}

/// Numbers remembered: between two audio packets there can be a whole key frame.
const SPAN: u16 = 4096;
const WORDS: usize = SPAN as usize / 64;
