use crate::harness::*;
use autorep::kernels::metrics::{self, Prices, ROWS, Record, row_words};
use autorep::kernels::step::StepScalars;

#[test]
fn a_record_holds_what_the_step_left() {
    on_every_engine(|compiler| {
        for (batch, over) in [(1, true), (7, false), (64, true), (300, false)] {
            let samples = noise(1, 4 * batch);
            let words = row_words(4);
            let scalars = StepScalars {
                step: ROWS as u32 + 3,
                count: batch as u32,
                budget: if over { 8277.0 } else { 8278.0 },
                score_rate: 0.25,
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
            let sums: Vec<f64> = (0..4)
                .map(|k| (0..batch).map(|n| f64::from(samples[4 * n + k])).sum())
                .collect();
            let found = [record.ce, record.kd, record.top1, record.top5];
            assert_close("sums", &found, &sums, 1e-5);
            assert_eq!(record.step, ROWS as u32 + 3);
            assert_eq!(record.count, batch as u32);
            assert_eq!(record.gradient_norm, 2.5);
            assert_eq!(
                (record.bad_forward, record.bad_backward),
                (Some(4), Some(5))
            );
            assert_eq!((record.kept, record.squares), (42, 45));
            assert_eq!(record.sites, [11, 0, 0, 31]);
            let cost = 42.0 * 184.0 + 45.0 * 8.0 + 2.0 * 90.0 + 10.0;
            assert_eq!((f64::from(record.cost), prices.cost(sites)), (cost, cost));
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
            let ledger = prices.ledger(&sites, if over { 2.5 } else { 1.5 }).concat();
            let ledger: Vec<f64> = ledger.into_iter().map(f64::from).collect();
            assert_close("ledger", &got[6], &ledger, 1e-6);
            // A site's own price is shared: the less is left, the dearer.
            assert_close(
                "prices of a ReLU",
                &[got[6][2], got[6][4], got[6][6], got[6][8]],
                &[
                    176.0 + 80.0 / 11.0,
                    184.0 + 90.0,
                    176.0 + 80.0,
                    184.0 + 90.0 / 31.0,
                ],
                1e-6,
            );
            assert_close(
                "prices of a square",
                &[got[6][3], got[6][5], got[6][7], got[6][9]],
                &[8.0, 18.0, 8.25, 8.0],
                1e-6,
            );
        }
    });
}
