//! What the pieces of a batch give to a step, and how that becomes one: added in a binary tree whose form follows from the
//! number of pieces alone. Each process adds the branches of the tree that are its own, hands their sums to the others, and
//! adds the rest as all others do. So who computed what leaves no trace.

use std::ops::Range;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use crate::config::train::Reduction;
use crate::distributed::Ranks;
use crate::model::network::Network;

/// What pieces give together; one, or the sum of some.
pub(super) struct Contribution {
    /// Gradients, running statistics and loss of [`Parts`], one behind the other: `[n]`, float32.
    floats: Tensor,
    /// The rest of them: `[m]`, float64.
    doubles: Tensor,
}

/// The same, taken apart.
pub(super) struct Parts {
    /// Of the trained tensors, in their order.
    pub gradients: Vec<Tensor>,
    /// Running statistics and counters as each piece alone would have left them, in their order.
    pub buffers: Vec<Tensor>,
    /// The share of the step's mean loss, a scalar.
    pub loss: Tensor,
    /// What adds to the [`Tally`](super::metrics::Tally).
    pub tally: Tensor,
    /// How many processes were asked to pause by SIGINT, and by another signal: `[2]`.
    pub heard: Tensor,
}

impl Contribution {
    /// Of `parts`.
    pub fn of(parts: &Parts) -> Contribution {
        let flat = |tensor: &Tensor| tensor.view(-1);
        let floats = parts.gradients.iter().chain(&parts.buffers);
        let floats = floats.filter(|tensor| tensor.kind() == Kind::Float);
        let floats = floats.chain([&parts.loss]).map(flat);
        let counters = parts
            .buffers
            .iter()
            .filter(|tensor| tensor.kind() != Kind::Float);
        let doubles = [&parts.tally, &parts.heard].into_iter().chain(counters);
        let doubles = doubles.map(|tensor| flat(tensor).to_kind(Kind::Double));
        Contribution {
            floats: Tensor::cat(&floats.collect::<Vec<_>>(), 0),
            doubles: Tensor::cat(&doubles.collect::<Vec<_>>(), 0),
        }
    }

    /// Its parts, which are those of pieces of `network`.
    pub fn parts(&self, network: &Network) -> Parts {
        let (mut floats, mut doubles) = (Rest(&self.floats, 0), Rest(&self.doubles, 0));
        let (_, trained) = network.trained();
        let gradients = trained.iter().map(|weight| floats.next(&weight.size()));
        let gradients = gradients.collect();
        let (tally, heard) = (doubles.next(&[2]), doubles.next(&[2]));
        let buffers = network.buffers().map(|buffer| match buffer.kind() {
            Kind::Float => floats.next(&buffer.size()),
            kind => doubles.next(&buffer.size()).to_kind(kind),
        });
        Parts {
            gradients,
            buffers: buffers.collect(),
            loss: floats.next(&[]),
            tally,
            heard,
        }
    }

    /// Adds what other pieces give.
    pub fn add(&mut self, other: &Contribution) {
        self.floats += &other.floats;
        self.doubles += &other.doubles;
    }

    /// All of it as float32, `[n + 2 m]`; no number is made into another.
    fn packed(&self) -> Tensor {
        Tensor::cat(&[&self.floats, &self.doubles.view_dtype(Kind::Float)], 0)
    }

    /// What was [packed](Contribution::packed), of as many numbers as `self` has.
    fn unpacked(&self, packed: &Tensor) -> Contribution {
        let [n, m] = [&self.floats, &self.doubles].map(|tensor| tensor.numel() as i64);
        // A copy, because float64 may not lie anywhere.
        let doubles = packed.narrow(0, n, 2 * m).copy();
        Contribution {
            floats: packed.narrow(0, 0, n),
            doubles: doubles.view_dtype(Kind::Double),
        }
    }
}

/// What is left of a tensor from a place on.
struct Rest<'t>(&'t Tensor, i64);

impl Rest<'_> {
    /// The next numbers, as a tensor of that size.
    fn next(&mut self, size: &[i64]) -> Tensor {
        let count = size.iter().product();
        let next = self.0.narrow(0, self.1, count).view(size);
        self.1 += count;
        next
    }
}

/// Signals as [`Parts::heard`] counts them.
pub(super) fn heard(signal: Option<i32>, device: Device) -> Tensor {
    let interrupted = signal == Some(signal_hook::consts::SIGINT);
    let counts = [interrupted, signal.is_some() && !interrupted].map(f64::from);
    Tensor::from_slice(&counts).to_device(device)
}

/// The signal by which a process was asked to pause, if one was; waits for the device.
///
/// # Errors
/// None that is known.
pub(super) fn signal_of(heard: &Tensor) -> Result<Option<i32>> {
    let counts = Vec::<f64>::try_from(heard)?;
    let signals = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
    let mut heard = signals.into_iter().zip(counts.into_iter().rev());
    Ok(heard.find_map(|(signal, count)| (count > 0.0).then_some(signal)))
}

/// What `pieces` give together: the halves of a range are summed first, and then added, down to what `branch` knows.
pub(super) fn sum(
    pieces: Range<usize>,
    branch: &mut dyn FnMut(&Range<usize>) -> Option<Result<Contribution>>,
) -> Result<Contribution> {
    if let Some(known) = branch(&pieces) {
        return known;
    }
    let middle = pieces.start + pieces.len() / 2;
    let mut left = sum(pieces.start..middle, branch)?;
    left.add(&sum(middle..pieces.end, branch)?);
    Ok(left)
}

/// The largest branches of the tree over `pieces` that lie in `own` whole, in order.
fn branches(pieces: Range<usize>, own: &Range<usize>) -> Vec<Range<usize>> {
    if pieces.end <= own.start || own.end <= pieces.start {
        return Vec::new();
    }
    if own.start <= pieces.start && pieces.end <= own.end {
        return vec![pieces];
    }
    let middle = pieces.start + pieces.len() / 2;
    let mut found = branches(pieces.start..middle, own);
    found.extend(branches(middle..pieces.end, own));
    found
}

/// What all `pieces` of a batch give together, of which this process computes its share by `compute`.
///
/// # Errors
/// Those of `compute`, and a process that is lost.
pub(super) fn of_all(
    pieces: Range<usize>,
    reduction: Reduction,
    ranks: &Ranks,
    compute: &mut dyn FnMut(usize) -> Result<Contribution>,
) -> Result<Contribution> {
    let branches_of = |rank| branches(pieces.clone(), &ranks.share_of(rank, pieces.clone()));
    let mut leaf = |piece: &Range<usize>| (piece.len() == 1).then(|| compute(piece.start));
    let own = branches_of(ranks.rank());
    let own: Vec<Contribution> = own
        .into_iter()
        .map(|branch| sum(branch, &mut leaf))
        .collect::<Result<_>>()?;
    if ranks.world() == 1 {
        return Ok(own.into_iter().next().expect("all pieces are one branch"));
    }
    if reduction == Reduction::Flat {
        return Ok(Contribution {
            floats: ranks.all_reduce(&own[0].floats)?,
            doubles: ranks.all_reduce(&own[0].doubles)?,
        });
    }
    let all: Vec<Vec<Range<usize>>> = (0..ranks.world()).map(branches_of).collect();
    let most = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut packed: Vec<Tensor> = own.iter().map(Contribution::packed).collect();
    packed.resize_with(most, || own[0].packed().zeros_like()); // every process hands over as much
    let gathered = ranks.all_gather(&Tensor::cat(&packed, 0))?;
    let gathered = gathered.view([ranks.world() as i64, most as i64, -1]);
    let of_branch = |branch: &Range<usize>| {
        all.iter().enumerate().find_map(|(rank, branches)| {
            let place = branches.iter().position(|known| known == branch)?;
            let packed = gathered.get(rank as i64).get(place as i64);
            Some(Ok(own[0].unpacked(&packed)))
        })
    };
    sum(pieces.clone(), &mut { of_branch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branches_of_all_processes_are_the_pieces_and_those_of_equal_powers_of_two_are_one_each()
    {
        for (pieces, world) in [
            (8, 1),
            (8, 2),
            (8, 4),
            (8, 8),
            (6, 2),
            (6, 3),
            (12, 4),
            (7, 7),
        ] {
            let share = |rank| rank * pieces / world..(rank + 1) * pieces / world;
            let all: Vec<_> = (0..world)
                .map(|rank| branches(0..pieces, &share(rank)))
                .collect();
            let flat: Vec<usize> = all.iter().flatten().cloned().flatten().collect();
            assert_eq!(flat, (0..pieces).collect::<Vec<_>>());
            if pieces.is_power_of_two() {
                assert!(all.iter().all(|own| own.len() == 1), "{pieces} in {world}");
            }
        }
        assert_eq!(branches(0..6, &(2..4)), [2..3, 3..4]);
    }

    #[test]
    fn what_is_packed_comes_out_with_the_same_bits() {
        let odd = [0.1f32, -0.0, f32::MIN_POSITIVE / 3.0, f32::INFINITY, 7.0];
        let even = [0.1f64, -1e-320, f64::MAX, 9_007_199_254_740_991.0];
        let own = Contribution {
            floats: Tensor::from_slice(&odd),
            doubles: Tensor::from_slice(&even),
        };
        let again = own.unpacked(&own.packed());
        let floats = Vec::<f32>::try_from(&again.floats).unwrap();
        let doubles = Vec::<f64>::try_from(&again.doubles).unwrap();
        assert_eq!(
            floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            odd.map(f32::to_bits)
        );
        assert_eq!(
            doubles.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            even.map(f64::to_bits)
        );
    }

    #[test]
    fn a_signal_that_one_process_heard_is_heard_by_all_and_sigint_comes_second() {
        let (int, term) = (signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM);
        let cpu = Device::Cpu;
        let together = |a, b| signal_of(&(heard(a, cpu) + heard(b, cpu))).unwrap();
        assert_eq!(together(None, None), None);
        assert_eq!(together(Some(int), None), Some(int));
        assert_eq!(
            together(None, Some(signal_hook::consts::SIGUSR1)),
            Some(term)
        );
        assert_eq!(together(Some(int), Some(term)), Some(term));
    }
}
