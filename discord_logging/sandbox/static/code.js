// The inside of code blocks: colours of a terminal, and of the languages that log cards are written in.
import { element } from "./dom.js";

// The codes that change the look here: bold, underlined, and colours, 39 and 49 among them, which end a colour.
const isShown = (code) => code <= 1 || code === 4 || (code >= 30 && code <= 49);

export function ansi(text) {
  const made = document.createDocumentFragment();
  let codes = new Set();
  for (const [index, part] of text.split(/\x1b\[([\d;]*)m/).entries()) {
    if (index % 2 === 0) {
      if (part) made.append(codes.size ? element("span", [...codes].map((code) => `ansi-${code}`).join(" "), part) : part);
      continue;
    }
    for (const code of (part || "0").split(";").map(Number).filter(isShown)) {
      if (code === 0) codes = new Set();
      else {
        // a colour replaces the one before it: 3x of 3x, 4x of 4x
        if (code >= 30) codes = new Set([...codes].filter((old) => old < 30 || Math.floor(old / 10) !== Math.floor(code / 10)));
        codes.add(code);
      }
    }
  }
  return made;
}

const words = (list) => `\\b(?:${list.replaceAll(" ", "|")})\\b`;
const NUMBER = "\\b(?:0x[\\da-f]+|\\d[\\d_]*(?:\\.\\d+)?(?:e[+-]?\\d+)?)\\b";
// A string does not begin with an escaped quote: each of many would be followed to the end of the line, in vain.
const STRING = `(?<!\\\\)(?:"(?:\\\\.|[^"\\\\\\n])*"|'(?:\\\\.|[^'\\\\\\n])*')`;
const END = "(?![^])"; // what is not closed ends with the text
const PYTHON = {
  comment: "#[^\\n]*",
  string: `"""[^]*?(?:"""|${END})|'''[^]*?(?:'''|${END})|(?:\\b[rbfu]{1,2})?(?:${STRING})`,
  error: "^(?:[A-Za-z_][\\w.]*\\.)?[A-Z]\\w*(?:Error|Exception|Warning|Interrupt|Exit|Group)\\b|^Traceback \\(most recent call last\\):",
  keyword: words("False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match case"),
  builtin: words("self cls print len range str int float bool list dict set tuple bytes type isinstance super open repr sorted sum min max zip map enumerate"),
  number: NUMBER,
};
const SCRIPT = {
  comment: `//[^\\n]*|/\\*[^]*?(?:\\*/|${END})`,
  string: `${STRING}|\`[^\`]*(?:\`|${END})`,
  keyword: words("const let var function return if else for while do switch case break continue new class extends import export from default try catch finally throw async await typeof instanceof in of null undefined true false this"),
  number: NUMBER,
};
const LANGUAGES = {
  py: PYTHON, python: PYTHON, js: SCRIPT, javascript: SCRIPT, ts: SCRIPT, typescript: SCRIPT,
  json: { key: '(?<!\\\\)"(?:\\\\.|[^"\\\\\\n])*"(?=\\s*:)', string: STRING, keyword: words("true false null"), number: `-?${NUMBER}` },
  diff: { added: "^\\+[^\\n]*", removed: "^-[^\\n]*", comment: "^@@[^\\n]*" },
  sql: {
    comment: "--[^\\n]*", string: STRING,
    keyword: words("select from where and or not null insert into values update set delete join left right inner on group by order limit create table alter drop as in is like between"),
    number: NUMBER,
  },
  sh: { comment: "(?:^|(?<=\\s))#[^\\n]*", string: STRING, builtin: "\\$\\{?\\w+\\}?", keyword: words("if then else fi for do done while case esac export echo cd sudo") },
};
LANGUAGES.bash = LANGUAGES.shell = LANGUAGES.sh;
const patterns = new Map();

function pattern(language) {
  if (!patterns.has(language)) {
    const parts = Object.entries(LANGUAGES[language]).map(([name, source]) => `(?<${name}>${source})`);
    patterns.set(language, new RegExp(parts.join("|"), language === "sql" ? "gim" : "gm"));
  }
  return patterns.get(language);
}

export function code(language, text) {
  const name = language?.toLowerCase();
  if (name === "ansi") return ansi(text);
  const made = document.createDocumentFragment();
  if (!Object.hasOwn(LANGUAGES, name ?? "")) {
    made.append(text);
    return made;
  }
  let end = 0;
  for (const found of text.matchAll(pattern(name))) {
    const [kind] = Object.entries(found.groups).find(([, value]) => value !== undefined);
    made.append(text.slice(end, found.index), element("span", `code-${kind}`, found[0]));
    end = found.index + found[0].length;
  }
  made.append(text.slice(end));
  return made;
}
