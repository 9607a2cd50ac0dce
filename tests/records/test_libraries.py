"""Files of libraries are told from the program's own, wherever they lie."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import zipapp
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_logging._records import exceptions, libraries
from discord_logging._records.libraries import is_surely_library, library_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from discord_logging.sandbox import LocalDiscord


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Forget what is known of files, since tests change what is installed."""
    yield
    for function in (library_of, libraries._distributions, libraries._own_modules, libraries._installed_modules):
        function.cache_clear()


def install(folder: Path, name: str, *files: str, **metadata: str) -> None:
    """Write what an installer leaves of a distribution with `files`, and other files of its metadata."""
    info = f"{name}-1.0.dist-info"
    record = "".join(f"{file},sha256=x,1\n" for file in (*files, f"{info}/METADATA", f"{info}/RECORD"))
    texts = {"METADATA": f"Name: {name}\n", "RECORD": record, **metadata}
    for file in files:
        write(folder / file, "")
    for each, text in texts.items():
        write(folder / info / each, text)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class TestPaths:
    """Many paths show at once that a file belongs to a library."""

    @pytest.mark.parametrize(
        ("filename", "library"),
        [
            ("/srv/shop/orders.py", None),
            *((name, None) for name in ("<stdin>", "<string>", "<template>", "<console>", "", "relative.py")),
            ("/tmp/ipykernel_4711/1234.py", None),  # noqa: S108 - it is text
            ("C:\\Users\\ann\\AppData\\Local\\Temp\\ipykernel_4711\\1234.py", None),
            ("<ipython-input-3-1a2b>", None),
            ("<frozen importlib._bootstrap_external>", "importlib"),
            ("<frozen runpy>", "runpy"),
            (json.decoder.__file__, "json"),
            (functools.__file__, "functools"),
            (exceptions.__file__, "discord_logging"),
            ("/x/.venv/lib/python3.12/site-packages/flask/app.py", "flask"),
            ("/home/ann/.local/lib/python3.12/site-packages/flask/app.py", "flask"),
            ("/opt/python/lib/python3.12/site-packages/boto3/session.py", "boto3"),
            ("/usr/lib/python3/dist-packages/six.py", "six"),
            ("C:\\Python\\Lib\\site-packages\\jinja2\\environment.py", "jinja2"),
            ("/x/site-packages/old-1.0-py3.egg/old/core.py", "old"),
            ("/root/.pex/installed_wheels/0/1a/tea-1.0-py3-none-any.whl/tea/cup.py", "tea"),
            ("/root/.pex/unzipped_pexes/1a/.bootstrap/pex/pex.py", "pex"),
            ("/opt/layers/deps.zip/boto/client.py", "boto"),
            ("/var/runtime/awslambdaric/bootstrap.py", "awslambdaric"),
            ("/srv/var/runtime/shop.py", None),
            ("C:\\venv\\Scripts\\uvicorn.exe\\__main__.py", "uvicorn"),
        ],
    )
    def test_the_library_of_a_path(self, filename: str, library: str | None) -> None:
        """Libraries are the standard library, installed and frozen modules, and archives."""
        assert library_of(filename) == library
        assert is_surely_library(filename) == (library is not None)

    @pytest.mark.parametrize(
        ("filename", "library"),
        [
            ("/usr/lib/python3.8/json/decoder.py", "json"),
            ("/opt/homebrew/Frameworks/Python.framework/Versions/3.9/lib/python3.9/asyncio/events.py", "asyncio"),
            ("/usr/lib64/pypy3.10/socket.py", "socket"),
            ("C:\\Program Files\\Python39\\Lib\\threading.py", "threading"),
            ("C:\\Users\\ann\\miniconda3\\lib\\json\\decoder.py", "json"),
            ("/usr/lib/python3.8/shop/orders.py", None),
            ("C:\\shop\\lib\\queue.py", None),
            ("/srv/lib/queue.py", None),
        ],
    )
    def test_the_standard_library_of_another_machine(self, filename: str, library: str | None) -> None:
        """A traceback may come from another program as text."""
        assert library_of(filename) == library

    @given(st.text(max_size=40) | st.sampled_from(["/\0", "\ud800.py", "/a\n/site-packages/", "//", "..", "~/x.py"]))
    def test_any_name_of_a_file_is_taken(self, filename: str) -> None:
        """Code has any text as the name of its file."""
        assert library_of(filename) is None or filename
        is_surely_library(filename)


class TestInstalledBesideTheCode:
    """`pip install --target` puts libraries into any folder: AWS Lambda's zip, its layers, a `vendor` folder."""

    def test_the_metadata_names_the_modules(self, tmp_path: Path) -> None:
        """The distribution may have another name than its module, or several modules."""
        install(tmp_path, "tea", "tea/__init__.py", "tea/pots/cup.py")
        install(tmp_path, "PyMilk", "milk/__init__.py", "_milk.cpython-311-x86_64-linux-gnu.so", "cow.py")
        write(tmp_path / "handler.py", "")
        found = {
            name: library_of(str(tmp_path / name))
            for name in ("tea/__init__.py", "tea/pots/cup.py", "milk/__init__.py", "cow.py", "handler.py", "shop/a.py")
        }
        assert found == {
            "tea/__init__.py": "tea",
            "tea/pots/cup.py": "tea",
            "milk/__init__.py": "milk",
            "cow.py": "cow",
            "handler.py": None,
            "shop/a.py": None,
        }
        assert not is_surely_library(str(tmp_path / "tea/pots/cup.py"))

    def test_a_package_vendors_its_libraries(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder is no entry of `sys.path`."""
        monkeypatch.syspath_prepend(str(tmp_path))
        install(tmp_path / "shop" / "vendor", "tea", "tea/__init__.py")
        assert library_of(str(tmp_path / "shop/vendor/tea/__init__.py")) == "tea"
        assert library_of(str(tmp_path / "shop/vendor/glue.py")) is None

    def test_above_the_import_path_nothing_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder far above the code may be large or slow."""
        monkeypatch.syspath_prepend(str(tmp_path / "src"))
        install(tmp_path, "src", "src/__init__.py")
        assert library_of(str(tmp_path / "src/shop/orders.py")) is None

    def test_a_list_of_files_may_be_missing(self, tmp_path: Path) -> None:
        """Archives for AWS Lambda are made smaller without it."""
        install(tmp_path, "PyMilk", RECORD="", **{"top_level.txt": "milk\n_milk\n"})
        assert library_of(str(tmp_path / "milk/cow.py")) == "milk"

    def test_the_metadata_of_sources_is_none(self, tmp_path: Path) -> None:
        """A build leaves an `egg-info` beside the program's own package."""
        write(tmp_path / "shop.egg-info/top_level.txt", "shop\n")
        write(tmp_path / "shop.egg-info/SOURCES.txt", "shop/__init__.py\n")
        assert library_of(str(tmp_path / "shop/__init__.py")) is None

    @pytest.mark.parametrize("folder", ["lib", "lib/python3/site-packages"])
    @pytest.mark.parametrize("dir_info", ['{"editable": true}', "{}"])
    def test_what_was_installed_from_a_directory_is_the_program(
        self, tmp_path: Path, folder: str, dir_info: str
    ) -> None:
        """`pip install .` copies the program, `pip install -e .` only its metadata."""
        url = f'{{"url": "file:///src/shop", "dir_info": {dir_info}}}'
        install(tmp_path / folder, "acme_shop", "shop/__init__.py", **{"direct_url.json": url})
        install(tmp_path / folder, "tea", "tea/__init__.py")
        assert library_of(str(tmp_path / folder / "shop/orders.py")) is None
        assert library_of(str(tmp_path / folder / "tea/__init__.py")) == "tea"

    def test_the_list_of_files_is_read_once_and_only_if_needed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder may have thousands of distributions."""
        for number in range(30):
            install(tmp_path, f"lib{number}", f"module{number}/__init__.py")
        install(tmp_path, "tea", "tea/__init__.py")
        read: list[str] = []
        read_file = libraries._read_file

        def counted(info: Path, name: str) -> str:
            read.append(name)
            return read_file(info, name)

        monkeypatch.setattr(libraries, "_read_file", counted)
        assert library_of(str(tmp_path / "tea/__init__.py")) == "tea"
        assert read.count("RECORD") == 1
        for number in range(30):
            assert library_of(str(tmp_path / f"module{number}/a.py")) == f"module{number}"
            assert library_of(str(tmp_path / f"own{number}.py")) is None
        assert read.count("RECORD") <= 1 + 31
        assert read.count("direct_url.json") == 31

    def test_unreadable_metadata_make_no_library(self, tmp_path: Path) -> None:
        """The metadata may be damaged, or a file where a folder is expected."""
        write(tmp_path / "tea-1.0.dist-info", "")
        (tmp_path / "milk-1.0.dist-info" / "RECORD").mkdir(parents=True)
        (tmp_path / "sugar-1.0.dist-info").mkdir()
        (tmp_path / "sugar-1.0.dist-info/RECORD").write_bytes(b"\xff\xfe,\x00\n")
        for name in ("tea", "milk", "sugar"):
            assert library_of(str(tmp_path / f"{name}/__init__.py")) is None


class TestArchives:
    """A zipapp holds the program and its libraries."""

    @pytest.mark.parametrize("inside", ["", "vendor/deep"])
    def test_the_metadata_are_read_within(self, tmp_path: Path, inside: str) -> None:
        """They lie at the top, or in any folder."""
        app = tmp_path / "app"
        install(app / inside, "PyTea", "tea/__init__.py")
        write(app / "__main__.py", "")
        write(app / "shop/orders.py", "")
        zipapp.create_archive(app, tmp_path / "app.pyz")
        assert library_of(str(tmp_path / "app.pyz" / inside / "tea/__init__.py")) == "tea"
        assert library_of(str(tmp_path / "app.pyz/shop/orders.py")) is None
        assert library_of(str(tmp_path / "app.pyz/__main__.py")) is None

    def test_the_main_program_may_be_any_archive(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other archives on the import path hold libraries."""
        monkeypatch.setattr(
            sys.modules["__main__"], "__file__", str(tmp_path / "app.zip" / "__main__.py"), raising=False
        )
        assert library_of(str(tmp_path / "app.zip/shop/orders.py")) is None
        assert library_of(str(tmp_path / "deps.zip/tea/cup.py")) == "tea"

    def test_a_file_that_is_no_archive_is_left_alone(self, tmp_path: Path) -> None:
        """The path may be that of a directory elsewhere."""
        write(tmp_path / "app.pyz", "no archive")
        assert library_of(str(tmp_path / "app.pyz/shop/orders.py")) is None


class TestLaunchers:
    """An installer makes a script for each entry point, which is no code of anybody's."""

    LAUNCHER = (
        "#!/venv/bin/python\nimport sys\nfrom {}.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    )

    def test_a_launcher_belongs_to_its_library(self, tmp_path: Path) -> None:
        """A script of the program's own in the same folder does not."""
        write(tmp_path / "bin/uvicorn", self.LAUNCHER.format("uvicorn"))
        write(tmp_path / "bin/nightly", "#!/usr/bin/python3\nimport shop\nshop.clean_up()\n")
        (tmp_path / "bin/tool").write_bytes(b"\x7fELF\xff")
        assert library_of(str(tmp_path / "bin/uvicorn")) == "uvicorn"
        assert library_of(str(tmp_path / "bin/nightly")) is None
        assert library_of(str(tmp_path / "bin/tool")) is None
        assert library_of(str(tmp_path / "bin/missing")) is None


class TestOwnPackages:
    """The setting `own_packages` names packages that are the program's own."""

    @pytest.mark.parametrize(
        ("own_packages", "library"),
        [((), "acme"), (("acme",), None), (("acme.shop",), None), (("acme.sho", "acm"), "acme"), (("shop",), "acme")],
    )
    def test_a_package_that_is_installed_like_a_library(self, own_packages: tuple[str, ...], library: str) -> None:
        """The names are whole, and may be those of packages within a namespace."""
        filename = "/venv/lib/python3/site-packages/acme/shop/orders.py"
        assert library_of(filename, own_packages) == library
        assert is_surely_library(filename, own_packages) == (library is not None)

    def test_a_package_beside_the_code(self, tmp_path: Path) -> None:
        """A module is named without its suffix."""
        install(tmp_path, "acme", "acme/__init__.py", "acme_jobs.py")
        assert library_of(str(tmp_path / "acme/__init__.py"), ("acme", "acme_jobs")) is None
        assert library_of(str(tmp_path / "acme_jobs.py"), ("acme", "acme_jobs")) is None
        assert library_of(str(tmp_path / "acme_jobs.py"), ("acme",)) == "acme_jobs"


class TestFrozenProgram:
    """PyInstaller gives code relative paths, and leaves most metadata out."""

    @pytest.fixture(autouse=True)
    def _frozen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
        monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "run.py"), raising=False)

    @pytest.mark.parametrize(
        ("filename", "library"),
        [
            ("run.py", None),
            ("shop/orders.py", None),
            ("json/decoder.py", "json"),
            ("functools.py", "functools"),
            ("urllib3/connection.py", "urllib3"),
            ("discord_logging/_handler.py", "discord_logging"),
            ("<frozen importlib._bootstrap>", "importlib"),
            ("<string>", None),
        ],
    )
    def test_the_standard_library_and_what_this_package_needs(self, filename: str, library: str | None) -> None:
        """These names are known without metadata."""
        assert library_of(filename) == library

    def test_the_metadata_are_read_if_they_are_there(self, tmp_path: Path) -> None:
        """PyInstaller copies them with `--copy-metadata`."""
        install(tmp_path, "PyTea", "tea/__init__.py")
        assert library_of("tea/cup.py") == "tea"
        assert library_of(str(tmp_path / "tea/cup.py")) == "tea"

    def test_own_packages_make_all_others_libraries(self, tmp_path: Path) -> None:
        """The main program stays the program's own."""
        names = ["run.py", str(tmp_path / "run.py"), "shop/orders.py", "tea/cup.py", "<string>", "/etc/shop/conf.py"]
        assert [library_of(name, ("shop",)) for name in names] == [None, None, None, "tea", None, None]


PROGRAM = """
import logging, sys
from discord_logging import DiscordHandler
handler = DiscordHandler()
logging.getLogger().addHandler(handler)
import tea
def order(): tea.brew()
try: order()
except ValueError: logging.exception("No tea")
sys.exit(not handler.flush())
"""
LIBRARY = "def brew():\n    return boil()\ndef boil():\n    return heat()\ndef heat():\n    raise ValueError('cold')\n"


def make_wheel(folder: Path) -> Path:
    """Return a wheel of the distribution PyTea with the module `tea`."""
    wheel = folder / "pytea-1.0-py3-none-any.whl"
    info = "pytea-1.0.dist-info"
    texts = {
        "tea.py": LIBRARY,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: PyTea\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*texts, f"{info}/RECORD"))
    with zipfile.ZipFile(wheel, "w") as file:
        for name, text in {**texts, f"{info}/RECORD": record}.items():
            file.writestr(name, text)
    return wheel


@pytest.mark.once
class TestRealPrograms:
    """A library that pip has installed is folded, in a process of its own."""

    @pytest.fixture
    def app(self, tmp_path: Path) -> Path:
        """Return a folder with a program, and a library that pip has installed beside it."""
        folder = tmp_path / "app"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-index", "--no-deps"]
        subprocess.run([*pip, "--target", str(folder), str(make_wheel(tmp_path))], check=True, timeout=120)
        write(folder / "__main__.py", PROGRAM)
        return folder

    def run(self, path: Path, local_discord: LocalDiscord, **environment: str) -> str:
        """Run a program, and return the text of its card."""
        environ: dict[str, Any] = {**os.environ, "DISCORD_WEBHOOK_URL": local_discord.webhook_url, **environment}
        subprocess.run([sys.executable, str(path)], env=environ, cwd=path.parent, check=True, timeout=60)
        [message] = local_discord.messages
        text: str = message.embeds[0]["description"]
        return text

    def test_beside_the_code(self, app: Path, local_discord: LocalDiscord) -> None:
        """The card shows the frames of the program and the last one of the library."""
        text = self.run(app / "__main__.py", local_discord)
        assert text.count('File "') == 3
        assert "… 2 frames in tea …" in text

    def test_in_a_zipapp(self, app: Path, local_discord: LocalDiscord) -> None:
        """The metadata lie in the archive."""
        zipapp.create_archive(app, app.parent / "app.pyz")
        text = self.run(app.parent / "app.pyz", local_discord)
        assert text.count('File "') == 3
        assert "… 2 frames in tea …" in text

    def test_in_a_layer(self, app: Path, local_discord: LocalDiscord) -> None:
        """The libraries lie in another folder of the import path."""
        main = app.parent / "main.py"
        (app / "__main__.py").rename(main)
        text = self.run(main, local_discord, PYTHONPATH=str(app))
        assert text.count('File "') == 3
        assert "… 2 frames in tea …" in text
