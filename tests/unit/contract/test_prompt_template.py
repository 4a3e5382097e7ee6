import pytest
from hypothesis import given
from hypothesis import strategies as st
from tandem_contract.prompt_template import LONGEST, MOST_CHARACTERS, PromptError, compiled

ODD = {"__class__": "a", "items": [1, None, True], "{{ x }}": "b"}


@pytest.mark.parametrize(
    ("text", "values", "written"),
    [
        ("Hi {{ name }}", {"name": "Ada"}, "Hi Ada"),
        (
            "{{ a }} {{ b }} {{ c }} {{ d }}",
            {"a": 1.5, "b": None, "c": True, "d": {"e": ["ü"]}},
            '1.5 null true {"e": ["ü"]}',
        ),
        ("{{ a.b[0].c }}{{ a['b'][-1].c }}{{ a[key] | length }}", {"a": {"b": [{"c": 1}]}, "key": "b"}, "111"),
        ("{{ odd.items }} {{ odd[key] }}", {"odd": ODD, "key": "__class__"}, "[1, null, true] a"),
        (
            "{% for each in all %}\n{{ loop.index }}/{{ loop.length }} {{ each }}\n{% else %}\nnone\n{% endfor %}\n",
            {"all": ["a", "b"]},
            "1/2 a\n2/2 b\n",
        ),
        ("{% for k, v in o | items if v %}{{ k }}={{ v }} {% endfor %}", {"o": {"a": 1, "b": 0}}, "a=1 "),
        ("{% if a is defined and a > 1 %}x{% elif b in 'abc' %}y{% else %}z{% endif %}", {"b": "b"}, "y"),
        ("{{ 'x' if a is none else 'y' }}{{ b | default('z') }}{{ c[:2] }}", {"a": None, "c": "cde"}, "xzcd"),
        ("{% raw %}{{ a }}{% endraw %}{# no #}", {}, "{{ a }}"),
        ("{{ a }}", {"a": "{{ 7 }}{% for x in y %}"}, "{{ 7 }}{% for x in y %}"),
        (
            "{{ a | join(', ') }} {{ b | join('+', attribute='c') }}",
            {"a": ["x", 1], "b": [{"c": "y"}, {"c": 2}]},
            "x, 1 y+2",
        ),
        (
            "{{ a | trim | title }} {{ a | truncate(7) }} {{ a | truncate(7, true) }}",
            {"a": " ab cdefgh"},
            "Ab Cdefgh  ab...  ab ...",
        ),
        (
            "{{ a | indent(2) }}{{ b | round(1) }}{{ c | int }}{{ a | first }}{{ a | last }}",
            {"a": "x\ny", "b": 1.25, "c": "7"},
            "x\n  y1.27xy",
        ),
        (
            "{{ a | tojson(indent=1) }}{{ 'q' | upper | lower | capitalize }}{{ '2.5' | float }}",
            {"a": [1]},
            "[\n 1\n]Q2.5",
        ),
        ("{{ 'x' if a }}{{ ('x' if a) | upper }}", {"a": 0}, ""),
        ("{{ i }}", {"i": 1, " budget": "mine", "loop": 2}, "1"),
    ],
)
def test_what_prompts_need(text, values, written):
    assert compiled(text).written(values) == written


def test_the_names_that_it_looks_for():
    assert compiled("{{ a }}{% for b in c.d %}{{ b }}{{ e | default(f) }}{% endfor %}").variables == {
        "a",
        "c",
        "e",
        "f",
    }


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ x.y.__init__.__globals__ }}",
        "{{ _x }}",
        "{{ ''.join('a') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ '{0.__class__}' | format(x) }}",
        "{{ x | attr('__class__') }}",
        "{{ x | map('attr', '__class__') | list }}",
        "{{ x | map(attribute='__class__') }}",
        "{{ x | selectattr('__class__') }}",
        "{{ x | groupby('__class__') }}",
        "{{ x | xmlattr }}{{ x | pprint }}{{ x | urlize }}",
        "{{ x | join(*y) }}",
        "{{ x | join(**y) }}",
        "{{ cycler('a').next }}{{ cycler.__init__ }}",
        "{{ lipsum() }}",
        "{{ joiner() }}",
        "{% set n = namespace(a=1) %}",
        "{{ self }}",
        "{{ self._TemplateReference__context }}",
        "{{ super() }}",
        "{% for x in y %}{{ loop }}{% endfor %}",
        "{% for x in y %}{{ [loop] | first }}{% endfor %}",
        "{% for x in y %}{{ loop['cycle'] }}{% endfor %}",
        "{% for x in y %}{{ loop.cycle }}{% endfor %}",
        "{% for x in y %}{{ loop.__init__ }}{% endfor %}",
        "{% for x in y %}{% for z in loop %}{% endfor %}{% endfor %}",
        "{% for x in y recursive %}{{ loop(x) }}{% endfor %}",
        "{% for _x in y %}{% endfor %}",
        "{% for x in range(9) %}{% endfor %}",
        "{% macro x() %}{% endmacro %}",
        "{% call x() %}{% endcall %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% include '/etc/passwd' %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% set x = 1 %}",
        "{% set x %}1{% endset %}",
        "{% with x = 1 %}{% endwith %}",
        "{% filter upper %}{% endfilter %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% do x %}",
        "{{ x is sameas(y) }}",
        "{{ x is filter }}",
        "{{ 'a' * 9 }}",
        "{{ 9 ** 9 }}",
        "{{ '%s' % x }}",
        "{{ x + y }}",
        "{{ -x }}",
        "{{ x ~ y }}",
        "{{ {'a': 1} }}",
        "{{ 1e999 }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ x | truncate(1, 2, 3, 4) }}",
        "{{ x | upper(how=1) }}",
        "{{ x",
        "{% if x %}",
        "{{ x }} {% endif %}",
        "{{ '\\N{nothing}' }}",
    ],
)
def test_what_they_do_not_need(text):
    with pytest.raises(ValueError, match=r"line 1: |is no template: "):
        compiled(text)


@pytest.mark.parametrize(
    "text",
    [
        "x" * (MOST_CHARACTERS + 1),
        "{{x}}" * 9000,
        "{{ x" + ".a" * 30_000 + " }}",
        "{{ x" + " | upper" * 5000 + " }}",
        "{{ " + "(" * 30_000 + "x",
        "{{ " + "[" * 1000 + "]" * 1000 + " }}",
        "{{ " + "not " * 1500 + "x }}",
        "{{ x " + "or x " * 900 + "}}",
        "{% for x in x %}" * 30 + "{% endfor %}" * 30,
        "{% if x %}" * 300 + "{% endif %}" * 300,
        "{{" * 30_000,
        "{#" * 30_000,
        "{% raw %}" * 7000,
        "{{ '" + "\\'" * 30_000,
        "{{ " + "1_" * 30_000 + "1 }}",
    ],
    ids=range(15),
)
def test_too_much_of_it(text):
    with pytest.raises(ValueError, match=r"line 1: |more than|nested deeper|is no template"):
        compiled(text)


def test_the_deepest_loops_are_rendered():
    text = "{% for x in x %}" * 17 + "{{ x }}" + "{% endfor %}" * 17
    value: object = "deep"
    for _ in range(17):
        value = [value]
    assert compiled(text).written({"x": value}) == "deep"


@pytest.mark.parametrize(
    "text", ["a\n\n{{ b }}", "{% if a %}\n\n{{ a.b }}{% endif %}", "\n\n{% for b in c %}\n{% endfor %}"]
)
def test_the_line_of_what_cannot_be_made(text):
    with pytest.raises(PromptError, match=r"^line 3: "):
        compiled(text).written({"a": {"c": 1}})


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        ("a\n{{ b }}", {}, "'b' is undefined"),
        ("{% if a %}\n\n{{ b.c.d }}{% endif %}", {"a": 1, "b": {}}, "there is no `c` in an object"),
        ("{{ a.b }}", {"a": "text"}, "there is no `b` in a text"),
        ("{{ a.upper }}", {"a": "text"}, "there is no `upper` in a text"),
        ("{{ a[0] }}", {"a": []}, "there is no such entry in a list"),
        ("{{ a[b] }}", {"a": {"c": 1}, "b": ["c"]}, "there is no such entry in an object"),
        ("{{ a[true] }}", {"a": [1, 2]}, "there is no such entry in a list"),
        ("{% for x in ('x' if a) %}{% endfor %}", {"a": 0}, "`for` cannot be had of nothing"),
        ("{% for x in a %}{% endfor %}", {"a": 5}, "`for` cannot be had of a number"),
        ("{% for x in a %}{% endfor %}", {"a": "text"}, "`for` cannot be had of a text"),
        ("{% for x in a %}{% endfor %}", {}, "'a' is undefined"),
        ("{% for x, y in a %}{% endfor %}", {"a": [[1]]}, "unpack"),
        ("{{ a == b }}", {"a": [], "b": []}, "a list cannot be compared"),
        ("{{ a < b }}", {"a": 1, "b": "2"}, "not supported"),
        ("{{ a[:b] }}", {"a": "text", "b": "x"}, "slice indices"),
        ("{{ a | join }}", {"a": "text"}, "`join` cannot be had of a text"),
        ("{{ a | first }}", {"a": []}, "`first` cannot be had of what is empty"),
        ("{{ a | round(b) }}", {"a": 1.5, "b": 10**9}, "from 0 to 15"),
        ("{{ a | indent(b) }}", {"a": "x", "b": 10**9}, "from 0 to 64"),
        ("{{ a | tojson(b) }}", {"a": "x", "b": 10**9}, "from 0 to 64"),
        ("{{ a | upper }}", {}, "'a' is undefined"),
        ("{{ a | int }}", {}, "'a' is undefined"),
    ],
)
def test_values_that_do_not_fit(text, values, problem):
    with pytest.raises(PromptError, match=f"line [0-9]+: .*{problem}"):
        compiled(text).written(values)


LONG = "x" * 1_000_000
MANY = list(range(10_000))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
            "too long to make",
        ),
        ("{% for a in many %}{% if long == long %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if a in many %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if 'y' in long %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if long[1:] %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if many | tojson %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if many | join(long) %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if long | int %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if long | truncate(3) %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}{% if object | items %}{% endif %}{% endfor %}", "too long to make"),
        ("{% for a in many %}" + "x" * 50_000 + "{% endfor %}", "longer than 262144"),
        ("{{ long }}", "longer than 262144"),
        ("{% for a in many %}{{ many }}{% endfor %}", "longer than 262144"),
    ],
)
def test_work_without_end(text, problem):
    with pytest.raises(PromptError, match=problem):
        compiled(text).written({"many": MANY, "long": LONG, "object": dict.fromkeys(map(str, MANY))})


NAMES = st.sampled_from(["a", "b", "c", "loop", "items", "__class__", "self"])
EXPRESSIONS = st.recursive(
    NAMES | st.sampled_from(["1", "-1", "'x'", "none", "loop.index", "[a, b]", "(a, 1)"]),
    lambda inner: st.one_of(
        st.builds("{}.{}".format, inner, NAMES),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}[:{}]".format, inner, inner),
        st.builds(
            "({} | {})".format,
            inner,
            st.sampled_from(
                ["upper", "join(b)", "length", "items", "default(a)", "tojson", "first", "indent(3)", "int"]
            )
            | st.sampled_from(["truncate(2)", "round", "attr('a')"]),
        ),
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["==", "<", "in", "not in", "and", "or", "~", "*"]), inner
        ),
        st.builds("({} is {})".format, inner, st.sampled_from(["defined", "none", "mapping", "sequence", "string"])),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=8,
)
TEMPLATES = st.recursive(
    st.builds("{{{{ {} }}}}".format, EXPRESSIONS) | st.sampled_from(["text", "{", "\n", "{% endif %}", "{# #}"]),
    lambda inner: st.one_of(
        st.tuples(EXPRESSIONS, inner).map(lambda both: f"{{% for a in {both[0]} %}}{both[1]}{{% endfor %}}"),
        st.tuples(EXPRESSIONS, inner).map(lambda both: f"{{% if {both[0]} %}}{both[1]}{{% else %}}no{{% endif %}}"),
        st.lists(inner, max_size=3).map("".join),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "{{ a }}", "ü" * 99]),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(TEMPLATES, st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_template_makes_a_text_or_says_why_not(text, values):
    try:
        prompt = compiled(text)
    except ValueError:
        return
    try:
        written = prompt.written(values)
    except PromptError:
        return
    assert len(written) <= LONGEST
    assert " at 0x" not in written
