"""cvc5 as a program, out of the Python package of that name.

The package holds the solver's library and no executable. This reads SMT-LIB
commands from standard input and answers each as `cvc5 --lang smt` does, which
is all that Cedar's symbolic compiler asks of a solver.
"""

import sys

import cvc5


def commands(stream):
    """Whole commands, as soon as each is complete."""
    text, depth, quote, comment = [], 0, None, False
    for line in stream:
        for char in line:
            text.append(char)
            if comment:
                comment = char != "\n"
            elif quote:
                quote = None if char == quote else quote
            elif char == ";":
                comment = True
            elif char in '"|':
                quote = char
            elif char == "(":
                depth += 1
            elif char == ")":
                depth -= 1
                if depth == 0:
                    yield "".join(text)
                    text = []


class Session:
    """A solver and what has been said to it."""

    def __init__(self, options):
        self.solver = cvc5.Solver()
        for name, value in options:
            self.solver.setOption(name, value)
        self.parser = cvc5.InputParser(self.solver)
        self.symbols = self.parser.getSymbolManager()

    def answer(self, command):
        """What cvc5 says to a command; often nothing."""
        self.parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, command, "stdin")
        said = []
        while not (parsed := self.parser.nextCommand()).isNull():
            said.append(str(parsed.invoke(self.solver, self.symbols) or ""))
        return "".join(said)


def main():
    named = (argument.removeprefix("--").partition("=") for argument in sys.argv[1:])
    # `--lang smt` is the only language there is here.
    options = [(name, value) for name, _, value in named if value]
    session = Session(options)
    for command in commands(sys.stdin):
        if command.strip() == "(exit)":
            break
        if command.strip() == "(reset)":
            # The parser would keep what it knows.
            session = Session(options)
            continue
        try:
            answer = session.answer(command)
        except RuntimeError as error:
            text = str(error).replace('"', '""').replace("\n", " ")
            answer = f'(error "{text}")\n'
        sys.stdout.write(answer)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
