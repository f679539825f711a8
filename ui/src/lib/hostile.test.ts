import { expect, test } from "vitest";
import { csvCell, pieces, visible } from "./hostile";

test.each([
  ["plain /v1/charges?x=ü 😀 👨‍👩‍👧 日本", "plain /v1/charges?x=ü 😀 👨‍👩‍👧 日本"],
  ["a\u0000b\u001b[31m", "a⟨NUL⟩b⟨ESC⟩[31m"],
  ["exe\u202egnp", "exe⟨RLO⟩gnp"],
  ["zero\u200bwidth\ufeff", "zero⟨ZWSP⟩width⟨BOM⟩"],
  ["lone \ud800 surrogate", "lone ⟨U+D800⟩ surrogate"],
  ["tag \u{e0041}", "tag ⟨U+E0041⟩"],
  ["tab\tand\nline", "tab⟨TAB⟩and⟨LF⟩line"],
  ["carriage\rreturn", "carriage⟨CR⟩return"],
])("%j is shown as %j", (text, shown) => {
  expect(visible(text)).toBe(shown);
});

test("pieces lose nothing and know their place", () => {
  const text = "a\u202eb[masked]c\u0007";
  const found = pieces(text);
  expect(found.map((piece) => piece.at)).toEqual([0, 1, 2, 3, 11, 12]);
  expect(found.filter((piece) => piece.masked)).toHaveLength(1);
});

test("where lines are shown as lines, tabs and line feeds are themselves", () => {
  expect(pieces("tab\tand\nline", true)).toHaveLength(1);
});

test("cells of a table cannot run in a spreadsheet", () => {
  expect(csvCell("=1+1")).toBe("'=1+1");
  expect(csvCell('a "b", c')).toBe('"a ""b"", c"');
  expect(csvCell("@x\n")).toBe('"\'@x\n"');
});
