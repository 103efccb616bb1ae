"""Any WSGI server starts here."""

from miniapp.app import create_app
from miniapp.config import Config

application = create_app(Config.load())
