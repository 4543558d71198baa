//! Which parameters an exported function can observe.
#![forbid(unsafe_code)]

use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

/// True when the export may read its parameter `index`. Anything that is not
/// plainly a function of the module's own counts as reading.
///
/// What a guest cannot see need not be found out: on nginx the number of
/// response headers costs more than calling the guest.
pub fn reads_parameter(module: &[u8], export: &str, index: u32) -> bool {
    find_body(module, export, index).unwrap_or(true)
}

/// `None`: no such body was found.
fn find_body(module: &[u8], export: &str, parameter: u32) -> Option<bool> {
    let mut imported = 0;
    let mut function = None;
    let mut bodies = 0;
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if matches!(import.ok()?.ty, TypeRef::Func(_)) {
                        imported += 1;
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for found in exports {
                    let found = found.ok()?;
                    if found.name == export && found.kind == ExternalKind::Func {
                        function = Some(found.index);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                if function.is_some_and(|function| function == imported + bodies) {
                    for operator in body.get_operators_reader().ok()? {
                        if let Operator::LocalGet { local_index } = operator.ok()?
                            && local_index == parameter
                        {
                            return Some(true);
                        }
                    }
                    return Some(false);
                }
                bodies += 1;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::reads_parameter;

    #[test]
    fn a_parameter_counts_only_where_it_is_read() {
        let module = wat::parse_str(
            r#"(module
                (import "env" "f" (func $imported (param i32)))
                (func (param i32 i32) (drop (local.get 1)))
                (func (export "first") (param i32 i32) (drop (local.get 0)))
                (func (export "nested") (param i32 i32)
                    (block (if (i32.const 1) (then (call $imported (local.get 1))))))
                (func (export "writes") (param i32 i32) (local.set 1 (i32.const 0)))
                (export "again" (func $imported)))"#,
        )
        .expect("a module");

        assert!(!reads_parameter(&module, "first", 1));
        assert!(reads_parameter(&module, "first", 0));
        assert!(reads_parameter(&module, "nested", 1));
        assert!(!reads_parameter(&module, "writes", 1));
        // Not known: as good as read.
        assert!(reads_parameter(&module, "again", 1));
        assert!(reads_parameter(&module, "missing", 1));
        assert!(reads_parameter(b"\0asm", "first", 1));
    }
}
