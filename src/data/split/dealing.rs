//! Dealing units of images, whole, to hands of given shares, as evenly in every class as their sizes allow.

use std::collections::BTreeMap;

use crate::data::index::Index;
use crate::rng::Stream;

/// Up to so many units, pairs of them are tried for an exchange, and so many are dealt together in all deals; with more of
/// them one comes near without.
const EFFORT: usize = 1000;

/// Times that the same units are dealt.
const MOST_DEALS: usize = 50;

/// What counts as less than another deviation.
const LESS: f64 = 1e-12;

/// Deals `units` of images to hands of the given `shares`, which add up to 1. The deviation of a hand is the sum of the
/// squares of (its images - its share) / (all images), over each class and over all classes together; that of all hands is
/// made small: one unit after the other goes where it helps most, the largest first, and then single units move and pairs are
/// exchanged while that helps. Few units are dealt several times, in random orders, and the best deal is taken. A hand with a
/// share gets a unit at least, if there are enough.
pub(super) fn deal(
    index: &Index,
    mut units: Vec<Vec<usize>>,
    shares: &[f64],
    stream: &mut Stream,
) -> Vec<Vec<usize>> {
    stream.shuffle(&mut units);
    units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
    let counts: Vec<Counts> = units.iter().map(|unit| counts_of(index, unit)).collect();
    let mut order: Vec<usize> = (0..units.len()).collect();
    let mut best = Dealing::dealt(&counts, 1 + index.classes.len(), shares, &order);
    let deals = (EFFORT / units.len().max(1)).min(MOST_DEALS);
    for _ in 1..deals {
        stream.shuffle(&mut order);
        let other = Dealing::dealt(&counts, 1 + index.classes.len(), shares, &order);
        if other.deviation() < best.deviation() - LESS {
            best = other;
        }
    }
    let mut hands = vec![Vec::new(); shares.len()];
    for (unit, images) in units.iter().enumerate() {
        hands[best.hand[unit]].extend(images);
    }
    hands
}

/// Images of a unit: all of them, and those of each class that it has. Places are 0, and 1 + the class.
type Counts = Vec<(usize, f64)>;

fn counts_of(index: &Index, images: &[usize]) -> Counts {
    let mut counts: BTreeMap<usize, f64> = BTreeMap::from([(0, images.len() as f64)]);
    for label in index.labels_of(images) {
        *counts.entry(1 + label as usize).or_default() += 1.0;
    }
    counts.into_iter().collect()
}

/// Units in hands.
struct Dealing<'s> {
    units: &'s [Counts],
    /// Images of all units, by place.
    all: Vec<f64>,
    shares: &'s [f64],
    /// What each hand holds, by place.
    held: Vec<Vec<f64>>,
    /// How many units each hand holds.
    sizes: Vec<usize>,
    /// The hand of each unit.
    hand: Vec<usize>,
}

impl<'s> Dealing<'s> {
    /// Of `units` with so many places that were dealt in this `order`, and moved and exchanged then.
    fn dealt(
        units: &'s [Counts],
        places: usize,
        shares: &'s [f64],
        order: &[usize],
    ) -> Dealing<'s> {
        let mut all = vec![0.0; places];
        let counts = units.iter().flatten();
        counts.for_each(|&(place, count)| all[place] += count);
        let mut table = Dealing {
            hand: vec![0; units.len()],
            held: vec![vec![0.0; places]; shares.len()],
            sizes: vec![0; shares.len()],
            units,
            all,
            shares,
        };
        table.deal(order);
        while table.moves() || (units.len() <= EFFORT && table.exchanges()) {}
        table
    }

    /// That of all hands.
    fn deviation(&self) -> f64 {
        let of = |(held, share): (&Vec<f64>, &f64)| {
            let pairs = held.iter().zip(&self.all).filter(|(_, all)| **all > 0.0);
            let squares = pairs.map(|(held, all)| (held / all - share).powi(2));
            squares.sum::<f64>()
        };
        self.held.iter().zip(self.shares).map(of).sum()
    }

    /// How much the deviation of `hand` grows when `unit` comes to it (`sign` 1) or leaves (-1).
    fn growth(&self, hand: usize, unit: usize, sign: f64) -> f64 {
        let terms = self.units[unit].iter().map(|&(place, count)| {
            let all = self.all[place];
            let before = self.held[hand][place] / all - self.shares[hand];
            let change = sign * count / all;
            change * (2.0 * before + change)
        });
        terms.sum()
    }

    /// Gives every unit to a hand.
    fn deal(&mut self, order: &[usize]) {
        for (dealt, &unit) in order.iter().enumerate() {
            let wants = |hand: &usize| self.shares[*hand] > 0.0;
            let empty = |hand: &usize| self.sizes[*hand] == 0;
            let hands = 0..self.shares.len();
            let wanting = hands
                .clone()
                .filter(|hand| wants(hand) && empty(hand))
                .count();
            let last = wanting >= order.len() - dealt;
            let growth = |hand: &usize| self.growth(*hand, unit, 1.0);
            let best = hands
                .filter(|hand| wants(hand) && (!last || empty(hand)))
                .min_by(|a, b| growth(a).total_cmp(&growth(b)))
                .expect("shares add up to 1, and as many hands are empty as there are units");
            self.hand[unit] = best;
            self.put(unit, best, 1.0);
        }
    }

    fn put(&mut self, unit: usize, hand: usize, sign: f64) {
        for &(place, count) in &self.units[unit] {
            self.held[hand][place] += sign * count;
        }
        if sign > 0.0 {
            self.sizes[hand] += 1;
        } else {
            self.sizes[hand] -= 1;
        }
    }

    fn give(&mut self, unit: usize, to: usize) {
        self.put(unit, self.hand[unit], -1.0);
        self.put(unit, to, 1.0);
        self.hand[unit] = to;
    }

    /// Moves single units to where they fit better; whether any was.
    fn moves(&mut self) -> bool {
        let mut moved = false;
        for unit in 0..self.units.len() {
            let from = self.hand[unit];
            if self.sizes[from] == 1 {
                continue;
            }
            let leaves = self.growth(from, unit, -1.0);
            let others = (0..self.shares.len()).filter(|to| *to != from && self.shares[*to] > 0.0);
            let growths = others.map(|to| (leaves + self.growth(to, unit, 1.0), to));
            if let Some((growth, to)) = growths.min_by(|a, b| a.0.total_cmp(&b.0))
                && growth < -LESS
            {
                self.give(unit, to);
                moved = true;
            }
        }
        moved
    }

    /// Exchanges two units where that fits better; whether any were.
    fn exchanges(&mut self) -> bool {
        let mut exchanged = false;
        for one in 0..self.units.len() {
            for other in 0..one {
                let (here, there) = (self.hand[one], self.hand[other]);
                if here == there {
                    continue;
                }
                let both = self.growth(here, one, -1.0) + self.growth(there, other, -1.0);
                // What each hand gains beside what it loses: the product of the two changes counts twice.
                let crossed = self.growth(here, other, 1.0) + self.growth(there, one, 1.0);
                let growth = both + crossed - 4.0 * self.overlap(one, other);
                if growth < -LESS {
                    self.give(one, there);
                    self.give(other, here);
                    exchanged = true;
                }
            }
        }
        exchanged
    }

    /// The sum of the products of two units' shares.
    fn overlap(&self, one: usize, other: usize) -> f64 {
        let (one, other) = (&self.units[one], &self.units[other]);
        let common = one.iter().filter_map(|(place, count)| {
            let at = other
                .binary_search_by_key(place, |(place, _)| *place)
                .ok()?;
            Some(count * other[at].1 / self.all[*place].powi(2))
        });
        common.sum()
    }
}
