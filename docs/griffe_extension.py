"""Griffe extensions for the API reference."""

import ast

import griffe


class Examples(griffe.Extension):
    """Moves the doctest lines at the end of a docstring into a section "Examples".

    Outside this section, Markdown shows lines that start with ">>>" as a quotation.
    """

    def on_object(self, *, obj, **kwargs):
        if obj.is_alias or obj.docstring is None or ">>>" not in obj.docstring.value:
            return
        text, _, examples = obj.docstring.value.partition("\n>>> ")
        lines = f">>> {examples}".splitlines()
        obj.docstring.value = "\n".join([text.rstrip(), "", "Examples:", *(f"    {line}" for line in lines)])


class LazyNames(griffe.Extension):
    """Finds the public names of packages that use ``seqmodels.lazy``.

    Such a package has no import statements for its public names. Python imports a name when the name is used
    for the first time.
    """

    def on_module_members(self, *, node, mod, agent, **kwargs):
        for call in ast.walk(node) if isinstance(node, ast.AST) else ():
            named = isinstance(call, ast.Call) and ast.unparse(call.func) == "lazy"
            if named and isinstance(call.args[1], ast.Dict):
                for name, location in ast.literal_eval(call.args[1]).items():
                    module, _, attribute = location.partition(":")
                    if attribute:
                        mod.set_member(name, griffe.Alias(name, f"{mod.path}.{module}.{attribute}"))
