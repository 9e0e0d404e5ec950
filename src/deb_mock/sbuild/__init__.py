"""`deb-mock sbuild`: the command line, exit statuses, file names and log of sbuild(1), on deb-mock's roots."""
