console.log("build: later");
