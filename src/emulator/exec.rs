//! The interpreter: one invocation's instructions, up to where it must wait for others.

use super::alu::{self, Binary, Ternary, Unary};
use super::finding::Fault;
use super::lane::{Lane, State};
use super::packing;
use super::program::{Instruction, LOST, Op};
use super::workgroup::Workgroup;

/// Operands of a component: the register, or the next one for each component.
#[inline(always)]
fn step(instruction: &Instruction, operand: u8) -> usize {
    usize::from(instruction.steps >> operand & 1)
}

#[inline(always)]
fn map1(frame: &mut [u32], at: &Instruction, f: impl Fn(u32) -> u32) {
    let (dst, a, sa) = (at.dst as usize, at.a as usize, step(at, 0));
    for i in 0..usize::from(at.width) {
        frame[dst + i] = f(frame[a + i * sa]);
    }
}

#[inline(always)]
fn map2(frame: &mut [u32], at: &Instruction, f: impl Fn(u32, u32) -> u32) {
    let (dst, a, b) = (at.dst as usize, at.a as usize, at.b as usize);
    let (sa, sb) = (step(at, 0), step(at, 1));
    for i in 0..usize::from(at.width) {
        frame[dst + i] = f(frame[a + i * sa], frame[b + i * sb]);
    }
}

#[inline(always)]
fn map3(frame: &mut [u32], at: &Instruction, f: impl Fn(u32, u32, u32) -> u32) {
    let (dst, a, b, c) = (at.dst as usize, at.a as usize, at.b as usize, at.c as usize);
    let (sa, sb, sc) = (step(at, 0), step(at, 1), step(at, 2));
    for i in 0..usize::from(at.width) {
        frame[dst + i] = f(frame[a + i * sa], frame[b + i * sb], frame[c + i * sc]);
    }
}

fn range(register: u32, width: u16) -> std::ops::Range<usize> {
    register as usize..register as usize + usize::from(width)
}

impl Workgroup<'_> {
    /// Runs an invocation for up to `slice` instructions, or until it waits or ends.
    pub(super) fn advance(&mut self, lane: &mut Lane, slice: u64) {
        let program = self.program;
        let allowed = slice.min(self.settings.budget.saturating_sub(lane.steps));
        let mut left = allowed;
        while left > 0 {
            left -= 1;
            let pc = lane.pc;
            let at = &program.code[pc as usize];
            self.hits[pc as usize] += 1;
            lane.pc += 1;
            match at.op {
                Op::Jump => {
                    lane.jumped = pc;
                    lane.pc = at.a;
                }
                Op::Enter => lane.entered[at.a as usize] = lane.steps + allowed - left,
                Op::BranchUnless => {
                    let taken = lane.frame[at.a as usize] == 0;
                    self.log(at.d, lane.index, u32::from(taken));
                    if taken {
                        lane.pc = at.b;
                    }
                }
                Op::Switch => {
                    let selector = lane.frame[at.a as usize];
                    let table = &program.switches[at.b as usize];
                    let case = table.cases.iter().find(|case| case.0 == selector);
                    lane.pc = case.map_or(table.default, |case| case.1);
                    self.log(at.d, lane.index, lane.pc);
                }
                Op::Barrier | Op::Subgroup(_) => {
                    lane.pc = pc;
                    lane.state = if at.op == Op::Barrier {
                        State::Barrier
                    } else {
                        State::Subgroup
                    };
                    break;
                }
                Op::End => {
                    lane.state = State::Ended;
                    break;
                }
                Op::Unary(_) | Op::Binary(_) | Op::Ternary(_) | Op::DotF
                    if self.settings.find_not_finite =>
                {
                    self.checked(lane, at, pc);
                }
                Op::Binary(op) if op.is_division() || op.is_shift() => {
                    self.integer_faults(lane, at, pc, op);
                    map2(&mut lane.frame, at, |x, y| op.apply(x, y));
                }
                Op::Index => self.index(lane, at, pc),
                Op::Texel => self.texel(lane, at, pc),
                Op::LoadLocal
                | Op::StoreLocal
                | Op::ClearLocal
                | Op::LoadFrame
                | Op::StoreFrame => {
                    self.local(lane, at, pc);
                }
                Op::LoadShared => self.load_shared(lane, at, pc),
                Op::StoreShared => self.store_shared(lane, at, pc),
                Op::LoadBuffer => self.load_buffer(lane, at, pc),
                Op::StoreBuffer => self.store_buffer(lane, at, pc),
                Op::AtomicLoad | Op::AtomicStore | Op::Atomic(_) | Op::CompareExchange => {
                    self.atomic(lane, at, pc);
                }
                _ => compute(&mut lane.frame, at),
            }
        }
        lane.steps += allowed - left;
        if lane.state == State::Ready && lane.steps >= self.settings.budget {
            lane.state = State::Exhausted;
            self.endless(lane);
        }
    }

    /// Arithmetic with a look at what it makes of finite numbers.
    fn checked(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let is_float = match at.op {
            Op::Unary(op) => op.is_float(),
            Op::Binary(op) => op.is_float(),
            Op::Ternary(op) => op.is_float(),
            _ => true,
        };
        let finite = |word: &u32| f32::from_bits(*word).is_finite();
        let operands = match at.op {
            Op::Unary(_) => 1,
            Op::Ternary(_) => 3,
            _ => 2,
        };
        let words: Vec<u32> = [at.a, at.b, at.c][..operands]
            .iter()
            .zip(0..)
            .flat_map(|(&register, i)| {
                let width = if step(at, i) == 1 { at.width } else { 1 };
                lane.frame[range(register, width)].to_vec()
            })
            .collect();
        if let Op::Binary(op) = at.op
            && (op.is_division() || op.is_shift())
        {
            self.integer_faults(lane, at, pc, op);
        }
        compute(&mut lane.frame, at);
        let results = if at.op == Op::DotF { 1 } else { at.width };
        if is_float
            && words.iter().all(finite)
            && !lane.frame[range(at.dst, results)].iter().all(finite)
        {
            let operands: Vec<String> = words
                .iter()
                .map(|&word| f32::from_bits(word).to_string())
                .collect();
            self.report(Fault::NotFinite, lane.index, pc, None, || {
                format!("operands {}", operands.join(", "))
            });
        }
    }

    fn integer_faults(&mut self, lane: &Lane, at: &Instruction, pc: u32, op: Binary) {
        let width = if step(at, 1) == 1 { at.width } else { 1 };
        for &operand in &lane.frame[range(at.b, width)] {
            if op.is_division() && operand == 0 {
                self.report(Fault::DivisionByZero, lane.index, pc, None, String::new);
            }
            if op.is_shift() && operand > 31 {
                self.report(Fault::ShiftTooFar, lane.index, pc, None, || {
                    format!("by {operand}")
                });
            }
        }
    }

    fn index(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let [index, before, length, stride] =
            [at.a, at.b, at.c, at.d].map(|i| lane.frame[i as usize]);
        let place = match before != LOST && index < length {
            true => before + index * stride,
            false => LOST,
        };
        lane.frame[at.dst as usize] = place;
        if index >= length {
            let shown = if at.width == 1 {
                i64::from(index as i32)
            } else {
                i64::from(index)
            };
            let detail = || format!("index {shown}, length {length}");
            let variable = self
                .program
                .indexed
                .get(&pc)
                .map(|name| (name.clone(), None));
            self.report(Fault::OutOfBounds, lane.index, pc, variable, detail);
        }
    }

    fn texel(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let coordinates = &lane.frame[range(at.a, at.width)];
        let extents = &lane.frame[range(at.d, at.width)];
        let inside = coordinates
            .iter()
            .zip(extents)
            .all(|(at, extent)| at < extent);
        let flat = coordinates
            .iter()
            .zip(extents)
            .rev()
            .fold(0u64, |sum, (&at, &extent)| {
                sum.wrapping_mul(u64::from(extent))
                    .wrapping_add(u64::from(at))
            });
        let words = self.program.resources[at.b as usize].stride;
        let detail = (!inside).then(|| format!("texel {coordinates:?} of {extents:?}"));
        lane.frame[at.dst as usize] = if inside {
            (flat * u64::from(words)) as u32
        } else {
            LOST
        };
        if let Some(detail) = detail {
            let variable = Some((self.program.resources[at.b as usize].name.clone(), None));
            self.report(Fault::OutOfBounds, lane.index, pc, variable, || detail);
        }
    }

    /// Variables of the invocation's own.
    fn local(&mut self, lane: &mut Lane, at: &Instruction, pc: u32) {
        let width = usize::from(at.width);
        let dynamic = match at.op {
            Op::LoadFrame | Op::StoreFrame => lane.frame[at.b as usize],
            _ => 0,
        };
        let is_load = matches!(at.op, Op::LoadLocal | Op::LoadFrame);
        if dynamic == LOST {
            if is_load {
                lane.frame[range(at.dst, at.width)].fill(0);
            }
            return;
        }
        let [from, to] = match is_load {
            true => [(at.a + dynamic) as usize, at.dst as usize],
            false => [at.a as usize, (at.dst + dynamic) as usize],
        };
        if at.op == Op::ClearLocal {
            lane.frame[to..to + width].fill(0);
        } else if width == 1 {
            lane.frame[to] = lane.frame[from];
        } else {
            lane.frame.copy_within(from..from + width, to);
        }
        if !lane.written.is_empty() {
            if !is_load {
                lane.written[to..to + width].fill(at.op != Op::ClearLocal);
            } else if let Some(unwritten) = (from..from + width).find(|&i| !lane.written[i]) {
                // Values that are indexed are loaded like variables; they are never unwritten.
                if let Some(variable) = self.local_variable(unwritten as u32) {
                    self.report(
                        Fault::UnwrittenLocal,
                        lane.index,
                        pc,
                        Some((variable, None)),
                        String::new,
                    );
                }
            }
        }
    }
}

/// What needs nothing but the frame.
#[inline]
fn compute(frame: &mut [u32], at: &Instruction) {
    let f = f32::from_bits;
    match at.op {
        Op::Copy => match (at.width, step(at, 0)) {
            (1, _) => frame[at.dst as usize] = frame[at.a as usize],
            (_, 0) => {
                let value = frame[at.a as usize];
                frame[range(at.dst, at.width)].fill(value);
            }
            _ => frame.copy_within(range(at.a, at.width), at.dst as usize),
        },
        // The commonest get loops of their own.
        Op::Binary(Binary::AddF) => map2(frame, at, |x, y| (f(x) + f(y)).to_bits()),
        Op::Binary(Binary::MulF) => map2(frame, at, |x, y| (f(x) * f(y)).to_bits()),
        Op::Binary(Binary::AddI) => map2(frame, at, u32::wrapping_add),
        Op::Binary(Binary::MulI) => map2(frame, at, u32::wrapping_mul),
        Op::Ternary(Ternary::Fma) => map3(frame, at, |x, y, z| f(x).mul_add(f(y), f(z)).to_bits()),
        Op::Ternary(Ternary::Select) => map3(frame, at, |x, y, z| if z != 0 { y } else { x }),
        Op::Unary(op) => map1(frame, at, |x| op.apply(x)),
        Op::Binary(op) => map2(frame, at, |x, y| op.apply(x, y)),
        Op::Ternary(op) => map3(frame, at, |x, y, z| op.apply(x, y, z)),
        Op::Round => frame[at.dst as usize] = frame[at.dst as usize].wrapping_add(1),
        _ => rare(frame, at),
    }
}

fn rare(frame: &mut [u32], at: &Instruction) {
    let (a, b) = (range(at.a, at.width), range(at.b, at.width));
    let dst = at.dst as usize;
    let width = usize::from(at.width);
    let f = f32::from_bits;
    match at.op {
        Op::DotF => {
            let products = frame[a].iter().zip(&frame[b]).map(|(&x, &y)| f(x) * f(y));
            frame[dst] = products
                .reduce(|sum, product| sum + product)
                .unwrap_or(0.0)
                .to_bits();
        }
        Op::DotI => {
            let products = frame[a]
                .iter()
                .zip(&frame[b])
                .map(|(&x, &y)| x.wrapping_mul(y));
            frame[dst] = products.fold(0, u32::wrapping_add);
        }
        Op::All => frame[dst] = u32::from(frame[a].iter().all(|&x| x != 0)),
        Op::Any => frame[dst] = u32::from(frame[a].iter().any(|&x| x != 0)),
        Op::Cross => {
            let (x, y) = (frame[a].to_vec(), frame[b].to_vec());
            for i in 0..3 {
                let (j, k) = ((i + 1) % 3, (i + 2) % 3);
                frame[dst + i] = (f(x[j]) * f(y[k]) - f(x[k]) * f(y[j])).to_bits();
            }
        }
        Op::Determinant => {
            frame[dst] =
                alu::determinant(&frame[at.a as usize..at.a as usize + width * width], width)
                    .to_bits();
        }
        Op::Pack(pack) => frame[dst] = pack.apply(&frame[a]),
        Op::Unpack(unpack) => {
            let word = frame[at.a as usize];
            (0..at.width)
                .for_each(|i| frame[dst + usize::from(i)] = unpack.apply(word, u32::from(i)));
        }
        Op::Dot4I => frame[dst] = packing::dot4_signed(frame[at.a as usize], frame[at.b as usize]),
        Op::Dot4U => {
            frame[dst] = packing::dot4_unsigned(frame[at.a as usize], frame[at.b as usize])
        }
        Op::Modf => {
            for (i, from) in a.enumerate() {
                let x = frame[from];
                frame[dst + width + i] = Unary::Trunc.apply(x);
                frame[dst + i] = (f(x) - f(x).trunc()).to_bits();
            }
        }
        Op::Frexp => {
            for (i, from) in a.enumerate() {
                let (fraction, exponent) = alu::frexp(f(frame[from]));
                frame[dst + i] = fraction.to_bits();
                frame[dst + width + i] = exponent as u32;
            }
        }
        Op::InsertBits => {
            let (c, d) = (frame[at.c as usize], frame[at.d as usize]);
            let (sa, sb) = (step(at, 0), step(at, 1));
            for i in 0..width {
                let (base, new) = (frame[at.a as usize + i * sa], frame[at.b as usize + i * sb]);
                frame[dst + i] = alu::insert_bits(base, new, c, d);
            }
        }
        // Everything else is done where memory and other invocations are at hand.
        other => debug_assert!(false, "{other:?} needs more than a frame"),
    }
}
