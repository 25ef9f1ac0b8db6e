//! The record of a step, and the ledger of prices, against their twin.

use crate::harness::*;
use autorep::kernels::metrics::{self, Prices, ROWS, Record, row_words};
use autorep::kernels::step::StepScalars;
use autorep::reference::metrics as twin;

/// Samples for the twin.
fn in_f64(samples: &[f32]) -> Vec<[f64; 4]> {
    let samples = samples.chunks_exact(4);
    let samples = samples.map(|sample| std::array::from_fn(|k| f64::from(sample[k])));
    samples.collect()
}

#[test]
fn a_record_holds_what_the_step_left() {
    on_every_engine(|compiler| {
        for batch in [1, 7, 64, 300] {
            let samples = noise(1, 4 * batch);
            let words = row_words(4);
            let scalars = StepScalars {
                step: ROWS as u32 + 3,
                count: batch as u32,
                ..Default::default()
            };
            let prices = Prices {
                relu: 184.0,
                square: 8.0,
                relu_site: 90.0,
                square_site: 10.0,
            };
            // Both; neither; squares alone; ReLUs alone.
            let sites = [(11, 5), (0, 0), (0, 40), (31, 0)];
            let recipe = metrics::record(compiler, batch, true, 4, prices).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&scalars)),
                    Data::In(&samples),
                    Data::InOutWords(&vec![POISON; ROWS * words]),
                    Data::In(&[2.5, 1.0, 0.0, 0.0]),
                    Data::InOutWords(&[4, 6]),
                    Data::InOutWords(&[11, 0, 0, 31, 5, 0, 40, 0]),
                    Data::InOut(&[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
                ],
            );
            let bits: Vec<u32> = got[2].iter().map(|v| v.to_bits()).collect();
            let record = Record::from_words(&bits[3 * words..4 * words]);
            let samples = in_f64(&samples);
            let twin_prices = twin::Prices {
                relu: prices.relu,
                square: prices.square,
                relu_site: prices.relu_site,
                square_site: prices.square_site,
            };
            let want = twin::record(&samples, None, &sites, &twin_prices);
            let found = [record.ce, record.kd, record.top1, record.top5];
            assert_close("sums", &found, &want.sums, 1e-5);
            assert_eq!(record.step, ROWS as u32 + 3);
            assert_eq!(record.count, batch as u32);
            assert_eq!(record.gradient_norm, 2.5);
            assert_eq!(
                (record.bad_forward, record.bad_backward),
                (Some(4), Some(5))
            );
            assert_eq!((record.kept, record.squares), (42, 45));
            assert_eq!(record.sites, [11, 0, 0, 31]);
            assert_eq!((want.relus, want.squares), (42, 45));
            let cost = 42.0 * 184.0 + 45.0 * 8.0 + 2.0 * 90.0 + 2.0 * 10.0;
            let costs = [f64::from(record.cost), prices.cost(sites), want.cost];
            assert_eq!(costs, [cost; 3]);
            let others = bits.iter().enumerate().filter(|(i, _)| i / words != 3);
            assert!(
                others.into_iter().all(|(_, &w)| w == POISON),
                "another row was written"
            );
            assert_eq!(
                got[4].iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                [u32::MAX, 0]
            );
            assert_eq!(got[5], [0.0; 8], "counts were not cleared");
            let ledger: Vec<f64> = [[cost, 0.0]]
                .into_iter()
                .chain(want.prices)
                .flatten()
                .collect();
            assert_close("ledger", &got[6], &ledger, 1e-6);
            // What the host begins with.
            let begun = prices.ledger(&sites).concat();
            assert_close("first ledger", &begun, &ledger, 1e-6);
            // A site's own price is shared: the less is left, the dearer.
            let prices = [
                [176.0 + 90.0 / 11.0, 10.0],
                [184.0 + 90.0, 18.0],
                [176.0 + 90.0, 8.25],
                [184.0 + 90.0 / 31.0, 18.0],
            ];
            assert_close("prices", &got[6][2..], &prices.concat(), 1e-6);
        }
    });
}

#[test]
fn an_evaluation_counts_what_runs_astray_and_leaves_its_loss_out() {
    on_every_engine(|compiler| {
        for batch in [1, 7, 64, 300] {
            let mut samples = noise(1, 4 * batch);
            // One that is not astray yet; the first, the last, and one whose loss is finite, but beyond all
            // measure.
            for (index, loss) in [
                (batch / 4, metrics::ASTRAY),
                (0, f32::NAN),
                (batch - 1, f32::INFINITY),
                (batch / 2, 1e17),
            ] {
                samples[4 * index..4 * index + 4].copy_from_slice(&[loss, loss, 0.0, 1.0]);
            }
            let words = row_words(0);
            let scalars = StepScalars {
                count: batch as u32,
                ..Default::default()
            };
            let recipe = metrics::record(compiler, batch, false, 0, Prices::COUNT).unwrap();
            let got = run(
                compiler,
                &recipe,
                &[
                    Data::Uniform(bytemuck::bytes_of(&scalars)),
                    Data::In(&samples),
                    Data::InOutWords(&vec![POISON; ROWS * words]),
                ],
            );
            let bits: Vec<u32> = got[2].iter().map(|v| v.to_bits()).collect();
            let record = Record::from_words(&bits[..words]);
            let samples = in_f64(&samples);
            let prices = twin::Prices {
                relu: 1.0,
                square: 0.0,
                relu_site: 0.0,
                square_site: 0.0,
            };
            let astray = Some(f64::from(metrics::ASTRAY));
            let want = twin::record(&samples, astray, &[], &prices);
            assert_eq!(record.astray as usize, want.astray);
            assert_eq!(want.astray, batch.min(3));
            let found = [record.ce, record.kd, record.top1, record.top5];
            assert_close("sums", &found, &want.sums, 1e-5);
        }
    });
}
