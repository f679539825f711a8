//! Files of every format, in two pieces: every entry is accepted or rejected, and pieces do not matter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_pipeline::Imported;
use weir_wire::registry;

fuzz_target!(|file: &[u8]| {
    let Some((cut, file)) = file.split_first() else { return };
    let _kind = registry::detect(file);
    let (first, second) = file.split_at(usize::from(*cut).min(file.len()));
    for kind in registry::IMPORTERS {
        let whole = import(kind, &[file]);
        assert_eq!(whole.offered as usize, whole.accepted.len() + whole.rejected.len(), "{}", kind.name);
        let pieces = import(kind, &[first, second]);
        assert_eq!(whole.rejected, pieces.rejected, "{}", kind.name);
        assert_eq!(whole.accepted.len(), pieces.accepted.len(), "{}", kind.name);
    }
});

fn import(kind: &weir_pipeline::ImporterKind, pieces: &[&[u8]]) -> Imported {
    let (mut importer, mut out) = ((kind.open)(), Imported::default());
    for piece in pieces {
        importer.feed(piece, &mut out);
    }
    importer.finish(&mut out);
    out
}
