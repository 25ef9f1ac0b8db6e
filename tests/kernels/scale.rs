use crate::harness::*;
use autorep::kernels::scale;
use autorep::reference::scale as twin;

#[test]
fn it_matches_its_twin() {
    on_every_engine(|compiler| {
        for (planes, pixels) in [
            (1, 1),
            (3, 1),
            (7, 49),
            (13, 6),
            (640, 16),
            (5, 1024),
            (70_001, 9),
        ] {
            let what = format!("{planes} planes of {pixels} ({})", compiler.tiling);
            let length = planes * pixels;
            let (x, dy) = (noise(1, length), noise(2, length));
            let f = noise(3, planes);
            let (wide_x, wide_f) = (wide(&x), wide(&f));

            let recipe = scale::forward(compiler, planes, pixels).unwrap();
            let arguments = [Data::In(&x), Data::In(&f), Data::Out(length)];
            let got = run(compiler, &recipe, &arguments);
            let want = twin::forward(pixels, &wide_x, &wide_f);
            assert_close(&what, &got[2], &want, 1e-6);

            let recipe = scale::backward(compiler, planes, pixels).unwrap();
            let arguments = [
                Data::InOut(&dy),
                Data::In(&x),
                Data::In(&f),
                Data::Out(planes),
            ];
            let got = run(compiler, &recipe, &arguments);
            let (dx, df) = twin::backward(pixels, &wide(&dy), &wide_x, &wide_f);
            assert_close(&format!("dx {what}"), &got[0], &dx, 1e-6);
            assert_close(&format!("df {what}"), &got[3], &df, 1e-5);

            if length < 100 {
                let loss = |x: &[f64], f: &[f64]| {
                    let y = twin::forward(pixels, x, f);
                    y.iter().zip(&dy).map(|(y, &dy)| y * f64::from(dy)).sum()
                };
                let want = finite_differences(&wide_x, |x| loss(x, &wide_f));
                assert_close(&format!("dx by differences {what}"), &got[0], &want, 1e-5);
                let want = finite_differences(&wide_f, |f| loss(&wide_x, f));
                assert_close(&format!("df by differences {what}"), &got[3], &want, 1e-5);
            }
        }
    });
}
