# What the commands here share: Debian's packages and the Python environment. Read in by them, never run alone.
# POSIX sh, because a bare machine has nothing else yet.

cd "$(dirname "$0")/.." || exit 1

# What a started demo needs, and what only the tests need.
RUN_PACKAGES="python3-venv ca-certificates fonts-wqy-zenhei fonts-lxgw-wenkai fonts-hanazono"
TEST_PACKAGES="$RUN_PACKAGES fonts-noto-cjk chromium postgresql-15 postgresql-client-15 cups-ipp-utils
  avahi-daemon dbus zbar-tools poppler-utils qpdf procps libatomic1"

tell() { printf '%s\n' "$@" >&2; }

# packages NAME...: sees that each is installed; installs what is missing where we may, else prints the line to run and ends.
packages() {
  if ! command -v dpkg-query >/dev/null 2>&1; then
    [ "${MINIAPP_PACKAGES:-}" = present ] && return 0
    tell "这里不是 Debian：请自行备好 Python 3.11 和与这些软件包相当的程序，再设 MINIAPP_PACKAGES=present 重试：" "  $*"
    exit 1
  fi
  missing=$(missing_of "$@")
  [ -n "$missing" ] || return 0
  tell "安装系统软件包：$missing"
  # shellcheck disable=SC2086
  if install_packages $missing && missing=$(missing_of "$@") && [ -z "$missing" ]; then return 0; fi
  tell "" "没有装上。请由管理员运行下面这一行，再重试：" \
    "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
  exit 1
}

missing_of() {
  absent=
  for name in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null) in
      ii*) ;;
      *) absent="$absent $name" ;;
    esac
  done
  printf '%s' "${absent# }"
}

install_packages() {
  if [ "$(id -u)" -eq 0 ]; then
    sh scripts/install-packages "$@" </dev/null >&2
  elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo sh scripts/install-packages "$@" >&2
  else
    return 1
  fi
}

# environment run|dev: the virtual environment in .venv, exactly as the lock file of that name says.
environment() {
  lock=requirements/$1.txt stamp=.venv/.stamp-$1
  wanted=$( { pwd; cat "$lock" pyproject.toml; } | sha256sum | cut -d' ' -f1)
  if [ -x .venv/bin/miniapp ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    return 0
  fi
  tell "准备 Python 环境（第一次约一分钟）……"
  # A folder that was moved, or made by another Python, is made anew: its scripts name their interpreter by full path.
  if ! is_python_311 .venv/bin/python || ! grep -qF "\"$PWD/.venv\"" .venv/bin/activate 2>/dev/null; then
    make_venv || exit 1
  fi
  install_locked --require-hashes -r "$lock" && install_locked --no-deps -e . || {
    tell "Python 软件包没有装上：见上面的错误，网络通了再重试。"
    exit 1
  }
  echo "$wanted" >"$stamp"
  if [ "$1" = dev ]; then  # the dev list holds all of the run list
    { pwd; cat requirements/run.txt pyproject.toml; } | sha256sum | cut -d' ' -f1 >.venv/.stamp-run
  fi
}

make_venv() {
  for python in /usr/bin/python3.11 python3.11 python3; do
    if is_python_311 "$python" && "$python" -c 'import ensurepip, venv' 2>/dev/null; then
      "$python" -m venv --clear .venv && return 0
    fi
  done
  tell "需要 Python 3.11（Debian 12 的 python3 与 python3-venv）。"
  return 1
}

is_python_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

# uv where it is there, because it is quicker; pip, which knows the machine's own settings, where uv is not or fails.
install_locked() {
  if command -v uv >/dev/null 2>&1 && uv pip install -q --python .venv/bin/python "$@" 2>/dev/null; then
    return 0
  fi
  .venv/bin/python -m pip install -q --use-pep517 --disable-pip-version-check "$@" </dev/null >&2
}
